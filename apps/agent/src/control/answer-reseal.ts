import { z } from 'zod';
import type { AgentParts } from '../agent.ts';
import type { DeviceArchive } from '../archive/device-archive.ts';
import { keyErrors } from '../keys/errors.ts';
import { oldBelow, planReseal, resealFacts, resealPast, targetEpoch } from '../keys/reseal-past.ts';
import type { Asking } from './requests.ts';
import { throttled } from './throttled.ts';

/** What `key.reseal` is asked with. */
export const Reseal = z.strictObject({
  /** Only what is of an epoch before this one; before the newest where left out. */
  olderThan: z.number().int().min(0).max(65_535).optional(),
  dryRun: z.boolean().optional(),
});

const running = new WeakSet<DeviceArchive>();

/**
 * `key.reseal`: seals what is of older epochs again in the newest one, and says what of it is needed still; `dryRun` says
 * what it would take. @throws keys.no_such_epoch, keys.reseal_runs, keys.unsettled, what makes a backup fail
 */
export async function answerKeyReseal(
  parts: AgentParts,
  { olderThan, dryRun = false }: z.infer<typeof Reseal>,
  asked: Asking,
): Promise<object> {
  const { archive, clock } = parts;
  const signal = AbortSignal.any([asked.signal, parts.signal]);
  const epoch = targetEpoch(archive.stored, olderThan);
  const nothingOlder = { epoch, isAnyOld: false };
  const isAnyOld = epoch > archive.stored.keys.ring.epochs[0]!.number && archive.index.head().number > 0;
  if (!isAnyOld) return { dryRun, ...nothingOlder };
  if (running.has(archive)) throw keyErrors.reseal_runs();
  const planned = await planReseal(parts, epoch, signal);
  if (dryRun) return { dryRun, epoch, isAnyOld, planned };
  running.add(archive);
  try {
    const send = throttled({ ...asked, signal }, clock);
    const onProgress = (progress: object) => send({ progress: { ...progress, plannedBytes: planned.dataBytes } });
    onProgress({ records: 0, bytes: 0, lists: 0 });
    const { left, ...resealed } = await resealPast(parts, epoch, { signal, onProgress });
    return { dryRun, isAnyOld, planned, ...resealed, left, closedBelow: oldBelow(archive.stored, epoch) };
  } finally {
    running.delete(archive);
  }
}

/** What is known of the last time the past was sealed again; undefined where it never was. */
export function shownReseal({ database }: Pick<AgentParts, 'database'>): object | undefined {
  const number = (key: string) => {
    const value = database.fact(key);
    return typeof value === 'number' ? value : undefined;
  };
  const [begun, epoch, atMs] = [number(resealFacts.begun), number(resealFacts.epoch), number(resealFacts.atMs)];
  if (begun === undefined && epoch === undefined) return undefined;
  return {
    ...(begun !== undefined && { begunEpoch: begun }),
    ...(epoch !== undefined && { epoch, left: number(resealFacts.left) ?? 0 }),
    ...(atMs !== undefined && { at: new Date(atMs).toISOString() }),
  };
}
