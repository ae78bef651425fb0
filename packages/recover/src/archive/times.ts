import { RecoverError } from '../errors.ts';
import { compareInstants, formatInstant, type Instant } from '../format/bytes.ts';
import { readCommitRow } from '../format/row.ts';
import type { Archive } from './archive.ts';
import { quietly } from './quietly.ts';
import { withPrefix } from './name-map.ts';

/** A moment of the archive: a commit and the time it stands for, corrections applied. */
export type Moment = { readonly commit: number; readonly at: Instant | undefined };

/** Every commit with a known time, by rising number: the newest correction, else the row in space 2, else its own (§10). */
export function listMoments(archive: Archive): readonly Moment[] {
  const times = new Map<number, Instant>();
  const chain = archive.chain;
  const commits =
    chain === undefined ? [] : [...(chain.checkpoint === undefined ? [] : [chain.checkpoint]), ...chain.later];
  for (const commit of commits) times.set(commit.number, commit.at);
  for (const entry of archive.map.range(withPrefix(Buffer.of(2)))) {
    const row = entry.key.length === 9 ? quietly(() => readCommitRow(entry.value)) : undefined;
    const number = entry.key.length === 9 ? Number(entry.key.readBigUInt64BE(1)) : 0;
    if (row !== undefined && number <= archive.headCommit) times.set(number, row.at);
  }
  for (const commit of commits) {
    for (const correction of commit.corrections)
      if (times.has(correction.commit)) times.set(correction.commit, correction.at);
  }
  return [...times].map(([commit, at]) => ({ commit, at })).sort((a, b) => a.commit - b.commit);
}

/** What may be asked for: a time, or a commit by its number; the head where nothing is said. */
export type At = Date | { readonly commit: number } | undefined;

/**
 * The greatest commit whose time is not after the one asked for.
 *
 * @throws time.nothing_then, request.invalid
 */
export function chooseMoment(archive: Archive, at: At): Moment {
  const moments = listMoments(archive);
  const timeOf = (commit: number) => moments.find((moment) => moment.commit === commit)?.at;
  if (at === undefined) return { commit: archive.headCommit, at: timeOf(archive.headCommit) };
  if (!(at instanceof Date)) {
    if (at.commit >= 1 && at.commit <= archive.headCommit) return { commit: at.commit, at: timeOf(at.commit) };
    throw new RecoverError('time.nothing_then', { commit: at.commit, head: archive.headCommit });
  }
  const milliseconds = at.getTime();
  if (Number.isNaN(milliseconds)) throw new RecoverError('request.invalid', { field: 'at', what: 'it is no time' });
  const seconds = Math.floor(milliseconds / 1000);
  const wanted = { seconds, nanoseconds: Math.round((milliseconds - seconds * 1000) * 1e6) };
  const chosen = moments.findLast((moment) => moment.at !== undefined && compareInstants(moment.at, wanted) <= 0);
  if (chosen !== undefined) return chosen;
  const first = moments[0]?.at;
  throw new RecoverError('time.nothing_then', {
    asked: at.toISOString(),
    oldest: first === undefined ? 'unknown' : formatInstant(first),
  });
}
