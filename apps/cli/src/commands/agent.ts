import type { Command } from 'commander';
import { registerAgentEnroll } from './agent-enroll.ts';
import { registerAgentHandOver } from './agent-hand-over.ts';
import { registerInstallService } from './agent-install-service.ts';
import { registerAgentRun } from './agent-run.ts';

/** `holdfast agent ...`: the agent of this computer. */
export function registerAgent(program: Command): void {
  const agent = program.command('agent').description('the agent that protects this computer').helpCommand(false);
  registerAgentEnroll(agent);
  registerAgentRun(agent);
  registerAgentHandOver(agent);
  registerInstallService(agent);
}
