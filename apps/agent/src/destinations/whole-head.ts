/** Whether a destination that was brought up to date has the device's newest state, whatever its sources gave it. */
import {
  ArchiveState,
  directoryStart,
  factsOf,
  listLoader,
  loaderOf,
  type LoadRecord,
  NodeCache,
  parseRecordHeader,
  parseRow,
  type Row,
  streamExtents,
} from '@holdfast/archive';
import { CodedError, isRetryable } from '@holdfast/base';
import type { DeviceArchive } from '../archive/device-archive.ts';
import type { DestinationSession } from './destination-place.ts';
import { destinationErrors } from './errors.ts';

/**
 * Reads the whole tree of the device's newest state, and every list of its rows, from a destination alone. Its commits need
 * not be there yet.
 *
 * @throws destinations.behind where some of it is not there, or altered; what reading throws that is worth trying again
 */
export async function expectTree(
  archive: DeviceArchive,
  session: DestinationSession,
  signal: AbortSignal,
): Promise<void> {
  const load = loaderOf((ordinals) => session.read(ordinals, signal), archive.openKeys);
  try {
    const state = stateOf(archive, load);
    const lists = listLoader(state, load);
    for await (const { key, value } of state.range(new Uint8Array(0))) {
      signal.throwIfAborted();
      if (key[0] === fileKind) await readLists(parseRow(value), lists);
    }
  } catch (error) {
    if (!(error instanceof CodedError) || isRetryable(error)) throw error;
    throw destinationErrors.behind({ destination: session.name }, error);
  }
}

const [fileKind] = directoryStart(0);

/** As the archive's own state, but no node is taken from the index. */
function stateOf({ index, openKeys }: DeviceArchive, load: LoadRecord): ArchiveState {
  const { checkpoint, root } = index.head();
  const facts = index.commitsAfter(checkpoint - 1).map(({ record }) => factsOf(record, openKeys));
  const start = root && facts[0] && { checkpoint: facts[0], root };
  const state = new ArchiveState(new NodeCache(load), start);
  for (const commit of start ? facts.slice(1) : facts) state.apply(commit);
  return state;
}

async function readLists({ streams = [] }: Row, load: LoadRecord): Promise<void> {
  // All extents, for the lists that lead to them.
  for (const stream of streams) for await (const extent of streamExtents(stream, load)) void extent;
}

/** @throws destinations.behind where the newest commit that the device knows is not there as it was made */
export async function expectHead({ index }: DeviceArchive, session: DestinationSession): Promise<void> {
  const { number } = index.head();
  if (number === 0) return;
  const head = index.keptCommit(number)?.record;
  if (head) {
    for await (const record of session.read([parseRecordHeader(head).ordinal])) {
      if (Buffer.compare(record, head) === 0) return;
    }
  }
  throw destinationErrors.behind({ destination: session.name });
}
