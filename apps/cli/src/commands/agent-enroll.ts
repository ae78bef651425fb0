import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { agentStateDir, serviceStateDir } from '../agent-socket.ts';
import { findHome, homeToStart } from '../config.ts';
import { deviceFacts } from '../device-facts.ts';
import { createOutput } from '../output.ts';
import { ownFolderIn } from '../own-folder.ts';

const enrollErrors = defineErrors('agent_enroll', {
  token_unreadable: ['not_found', 'The token file cannot be read'],
});

type Options = { readonly tokenFile: string; readonly state?: string; readonly json?: boolean };

/** `holdfast agent enroll`: makes this computer a device of a server. */
export function registerAgentEnroll(agent: Command): void {
  agent
    .command('enroll <url>')
    .description('enrol this computer with a server, by a token file an administrator made')
    .requiredOption('--token-file <file>', 'the token; - reads standard input')
    .option(
      '--state <folder>',
      `folder of the agent's state (agent in HOLDFAST_HOME; ${serviceStateDir} for the service)`,
    )
    .action(async (url: string, options: Options) => {
      const { enroll, EnrollmentStore } = await import('@holdfast/agent/cloud');
      const tokenText = readToken(options.tokenFile);
      const stateDir = stateDirOf(options.state);
      ownFolderIn(findHome(process.cwd()), stateDir);
      const {
        deviceUid,
        orgUid,
        tenantUid,
        url: server,
      } = await enroll({ ...deviceFacts(), tokenText, url }, new EnrollmentStore(stateDir));
      const facts = { deviceUid, orgUid, tenantUid, url: server, stateDir };
      const text = `Enrolled with ${server} as device ${deviceUid}.\nStart it: holdfast agent run`;
      createOutput(options.json ?? false).result(facts, text);
    });
}

function readToken(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : path.resolve(file), 'utf8');
  } catch (error) {
    throw enrollErrors.token_unreadable({ file }, error);
  }
}

function stateDirOf(state: string | undefined): string {
  if (state !== undefined) return path.resolve(state);
  const isRoot = process.geteuid?.() === 0;
  const homeDir = findHome(process.cwd()) ?? (isRoot ? undefined : homeToStart(process.cwd()));
  return homeDir === undefined ? serviceStateDir : agentStateDir(homeDir);
}
