/** The agent of an enrolled device, run in the test's own process: for who turns its clock or reads its log. */
import path from 'node:path';
import type { TestContext } from 'node:test';
import { askAgent, type RunningAgent } from '@holdfast/agent';
import { startEnrolledAgent } from '@holdfast/agent/cloud';
import { afterwards } from '@holdfast/testing';
import { aboutDevice, type EnrolledDevice, newFolder } from './running-cloud.ts';

type Options = Partial<Parameters<typeof startEnrolledAgent>[0]>;

/** An agent and the folder that it protects. */
export type AgentOfDevice = {
  readonly agent: RunningAgent;
  readonly files: string;
  readonly socketPath: string;
  readonly ask: (request: string, about?: object) => ReturnType<typeof askAgent>;
};

/** Starts the agent over `files`, a new empty folder when left out; it is stopped when the test ends. */
export async function startAgentOf(
  t: TestContext,
  { stateDir }: Pick<EnrolledDevice, 'stateDir'>,
  { files = newFolder(t), ...options }: Options & { readonly files?: string } = {},
): Promise<AgentOfDevice> {
  const socketPath = path.join(stateDir, 'agent.sock');
  const fixed = { ...aboutDevice, stateDir, socketPath, socketMode: 0o600, protect: [files] };
  const agent = await startEnrolledAgent({ ...fixed, ...options });
  afterwards(t, () => agent.stop());
  return { agent, files, socketPath, ask: (request, about = {}) => askAgent(socketPath, { request, ...about }) };
}
