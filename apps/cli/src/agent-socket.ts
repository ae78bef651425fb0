import path from 'node:path';
import type { Hearing } from '@holdfast/agent';
import { findHome, namedSocket } from './config.ts';
import { commandErrors } from './errors.ts';

/** State and socket of the agent that runs as a service. */
export const serviceStateDir = '/var/lib/holdfast';
export const serviceSocket = '/run/holdfast/agent.sock';

/** State of the agent of a Holdfast run by hand. */
export const agentStateDir = (homeDir: string): string => path.join(homeDir, 'agent');
/** Control socket of the agent of a Holdfast run by hand. */
export const agentSocket = (homeDir: string): string => path.join(agentStateDir(homeDir), 'agent.sock');

/** The socket of the agent meant: HOLDFAST_SOCKET, else that of HOLDFAST_HOME, else by `.holdfast` in this folder or above, else of the service. */
export function findAgentSocket(workingDir: string = process.cwd()): string {
  const named = namedSocket(workingDir);
  if (named !== undefined) return named;
  const homeDir = findHome(workingDir);
  return homeDir === undefined ? serviceSocket : agentSocket(homeDir);
}

/** Asks that agent one thing. */
export async function ask<T>(
  request: string,
  given: Readonly<Record<string, unknown>> = {},
  hearing: Hearing = {},
): Promise<T> {
  // Loaded here, so that help and the other commands do not wait for it.
  const { askAgent } = await import('@holdfast/agent');
  return (await askAgent(findAgentSocket(), { request, ...given }, hearing)) as T;
}

/** A path of the command line, absolute, as the agent takes it. An empty one, as of a variable not set, is refused. */
export function absolutePath(argument: string, workingDir: string = process.cwd()): string {
  if (argument === '') throw commandErrors.invalid({ reason: 'a path is empty', remedy: 'name it; . is this folder' });
  return path.resolve(workingDir, argument);
}
