/**
 * Blocks that were stored for some sets and that others need now: copied, as they are, to the destinations that lack them.
 *
 * It is done before the commit whose rows refer to them, so that the commit counts wherever it arrives.
 */
import { parseRecordHeader } from '../format/record.ts';
import type { OwnedRecords } from '../index/block-table.ts';
import type { LocalIndex } from '../index/local-index.ts';
import type { Destination } from './destination.ts';
import { backupErrors } from './errors.ts';
import { maxFragmentBytes } from './fragment-writer.ts';
import type { DestinationMask, Routes } from './routes.ts';
import type { Uploader } from './uploader.ts';

/** What spreading needs. */
export type SpreadPorts = { readonly index: LocalIndex; readonly routes: Routes; readonly uploader: Uploader };

/**
 * Copies what is known of these records to the destinations of their new sets.
 *
 * @throws backup.record_lost where no destination could give one: its bytes are found no more, so that they are stored
 * again the next time
 */
export async function spreadRecords(owned: readonly OwnedRecords[], ports: SpreadPorts): Promise<void> {
  if (!ports.routes.isBound) return;
  for (const target of ports.uploader.destinations) {
    const sources = lackingAt(target, owned, ports);
    if (sources.size > 0) await copyTo(target, sources, ports);
  }
}

/** The records that a destination lacks, with the destinations that have them. */
function lackingAt(
  target: Destination,
  owned: readonly OwnedRecords[],
  { index, routes }: SpreadPorts,
): Map<number, DestinationMask> {
  const bit = routes.bitOf(target.name);
  const sources = new Map<number, DestinationMask>();
  for (const { sets, ordinals } of owned) {
    if ((routes.sendsTo(sets) & bit) === 0) continue;
    for (const ordinal of ordinals) {
      // What is not known yet is being sent wherever it is needed.
      const known = index.recordOwners(ordinal);
      const held = known && routes.heldBy(known.sets);
      if (held !== undefined && (held & bit) === 0) sources.set(ordinal, held);
    }
  }
  return sources;
}

async function copyTo(
  target: Destination,
  sources: Map<number, DestinationMask>,
  { index, routes, uploader }: SpreadPorts,
): Promise<void> {
  // It may be there all the same: sent while the set was being filled there.
  for await (const record of target.read([...sources.keys()])) sources.delete(parseRecordHeader(record).ordinal);
  for (const source of uploader.destinations) {
    const bit = routes.bitOf(source.name);
    const ordinals = [...sources].filter(([, held]) => (held & bit) !== 0).map(([ordinal]) => ordinal);
    for await (const fragment of fragmentsOf(source, ordinals, sources)) {
      await uploader.send(fragment, routes.bitOf(target.name));
    }
  }
  if (sources.size === 0) return;
  index.forgetPieces([...sources.keys()]);
  throw backupErrors.record_lost({ records: sources.size, destination: target.name });
}

/** The records that a destination gives, in fragments; each is taken out of `wanted`. */
async function* fragmentsOf(
  source: Destination,
  ordinals: readonly number[],
  wanted: Map<number, DestinationMask>,
): AsyncGenerator<Uint8Array> {
  if (ordinals.length === 0) return;
  let records: Uint8Array[] = [];
  let bytes = 0;
  for await (const record of source.read(ordinals)) {
    if (!wanted.delete(parseRecordHeader(record).ordinal)) continue;
    // What a destination hands out may lie in a buffer that it uses again.
    records.push(record.slice());
    bytes += record.length;
    if (bytes < maxFragmentBytes) continue;
    yield new Uint8Array(Buffer.concat(records));
    records = [];
    bytes = 0;
  }
  if (records.length > 0) yield new Uint8Array(Buffer.concat(records));
}
