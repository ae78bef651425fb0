import path from 'node:path';
import type { Disk } from '@holdfast/archive/log';
import { defineErrors, systemClock, systemRandom, type Clock, type Random } from '@holdfast/base';
import type { FindEscrowKeyIds } from './modules/storage/index.ts';
import type { CloudConfig } from './config.ts';
import { lockFile, type FileLock } from './platform/file-lock.ts';
import type { Log } from './platform/log.ts';
import { ownFolder } from './platform/state-folder.ts';
import { Teardown } from './platform/teardown.ts';

/** What keeps a server from starting or ending, apart from its parts' own failures. */
export const cloudErrors = defineErrors('cloud', {
  already_running: ['conflict', 'A server is already running in this folder'],
  never_started: ['not_found', 'No server was ever started in this folder'],
  stop_incomplete: ['unavailable', 'Parts of the server did not end in time; the process has to'],
});

/** The edges of a server: what a test or a simulator decides instead. */
export type CloudEdges = {
  readonly log: Log;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Where archives are kept; the machine's own disk when absent. */
  readonly disk?: Disk;
  /** Which escrow keys devices were given; without it no escrow is demanded of anybody. */
  readonly findEscrowKeyIds?: FindEscrowKeyIds;
};

/** A server while it is put together: what all its parts are made with, and how they are ended. */
export type Assembly = {
  readonly config: CloudConfig;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  readonly disk?: Disk;
  readonly findEscrowKeyIds?: FindEscrowKeyIds;
  /** Ended in reverse order, by a failed start or by `stop`. */
  readonly undo: Teardown;
};

/** Begins one. */
export function newAssembly(config: CloudConfig, edges: CloudEdges): Assembly {
  const { clock = systemClock, random = systemRandom, log, disk, findEscrowKeyIds } = edges;
  const undo = new Teardown((part) => log.error({ part }, 'a part of the server did not end in time'));
  return { config, log, clock, random, ...(disk && { disk }), ...(findEscrowKeyIds && { findEscrowKeyIds }), undo };
}

/** Ends all parts. @throws cloud.stop_incomplete, or what a part threw instead of ending */
export async function endParts({ undo }: Assembly): Promise<void> {
  const { unended, errors } = await undo.end();
  const [cause] = errors;
  if (unended.length > 0) throw cloudErrors.stop_incomplete({ parts: unended }, cause);
  if (errors.length > 0) throw errors.length === 1 ? cause : new AggregateError(errors, 'parts failed to end');
}

/** Does work on an assembly and ends its parts, however the work ends. */
export async function workOn<T>(assembly: Assembly, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await assembly.undo.end();
    throw error;
  }
  await endParts(assembly);
  return result;
}

/** Makes HOLDFAST_HOME, closes it to others, and holds it: two servers in one folder would undo each other's work. */
export async function takeHome(assembly: Assembly): Promise<void> {
  const { homeDir } = assembly.config;
  await ownFolder(homeDir);
  const lock = lockFile(path.join(homeDir, 'cloud.lock'));
  if (!lock) throw cloudErrors.already_running({ homeDir });
  deferRelease(assembly, lock);
}

/** Gives the folder back at the end. A part that goes on may still write here: then only the end of the process lets others in. */
export function deferRelease({ undo }: Assembly, lock: FileLock): void {
  undo.defer('lock of the folder', (unended) => {
    if (unended.length === 0) lock.release();
  });
}
