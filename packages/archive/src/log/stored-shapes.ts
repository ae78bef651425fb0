import type { SegmentSummary } from './catalogue.ts';
import type { StoredLog } from './local-destination.ts';

/**
 * Shapes of what a folder says of itself. Whoever can write there can make the checksum too: it says that the bytes are
 * whole, and not who wrote them.
 */

/** JSON; undefined for what is none. */
export function jsonOrNone(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** Whether a value is the summary of a segment. */
export function isSegmentSummary(value: unknown): value is SegmentSummary {
  if (!isFields(value)) return false;
  const { folder, segment, state, endOffset, fileBytes, kinds, ranges } = value;
  const isPlace =
    (folder === 'segments' || folder === 'copies') &&
    (state === 'full' || state === 'sealed') &&
    isCount(segment, 0xffff_ffff) &&
    isCount(endOffset) &&
    isCount(fileBytes);
  const areKinds = isFields(kinds) && Object.values(kinds).every((sum) => areCounts(sum, 2));
  return isPlace && areKinds && Array.isArray(ranges) && ranges.every((range) => areCounts(range, 3));
}

/** Whether a value is what is kept beside a log. */
export function isStoredLog(value: unknown): value is StoredLog {
  return isFields(value) && isLog(value['log']) && isPosition(value['position']);
}

function isLog(log: unknown): boolean {
  if (!isFields(log)) return false;
  const { sessionEpoch, nextFragment, liveSet, recentFragments, head, keyring } = log;
  return (
    [sessionEpoch, nextFragment, liveSet].every((count) => isCount(count)) &&
    Array.isArray(recentFragments) &&
    recentFragments.every((fragment) => isNamed(fragment, 'sequence')) &&
    (head === undefined || (isNamed(head, 'number') && isCount((head as Fields)['checkpoint']))) &&
    (keyring === undefined || isNamed(keyring, 'number'))
  );
}

function isNamed(value: unknown, count: string): boolean {
  return isFields(value) && isCount(value[count]) && typeof value['sha256'] === 'string';
}

function isPosition(position: unknown): boolean {
  if (!isFields(position)) return false;
  const { segments, copies } = position;
  return isPlaceIn(segments) && (copies === undefined || isPlaceIn(copies));
}

function isPlaceIn(value: unknown): boolean {
  return isFields(value) && isCount(value['segment']) && isCount(value['bytes']);
}

function areCounts(value: unknown, length: number): boolean {
  return Array.isArray(value) && value.length === length && value.every((count) => isCount(count));
}

function isCount(value: unknown, most = Number.MAX_SAFE_INTEGER): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
