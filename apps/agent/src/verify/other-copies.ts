/** What the destinations that are at hand have of records that one of them lost. */
import { openRecordSync, type Ordinal, parseRecordHeader } from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import type { DeviceArchive } from '../archive/device-archive.ts';
import type { Destinations } from '../destinations/destinations.ts';
import type { DestinationSession } from '../destinations/destination-place.ts';
import { genuineIn } from '../destinations/own-ordinals.ts';

const readAtOnce = 256;

/** Records by ordinal, and which destinations lack each. */
export type Lacking = ReadonlyMap<Ordinal, ReadonlySet<number>>;

type Ports = { readonly archive: DeviceArchive; readonly destinations: Destinations };

/**
 * Of these records, those that a destination gives whole which is ready and does not lack them. One whose reading fails is
 * asked no more.
 *
 * @throws the signal's reason
 */
export async function wholeElsewhere(
  { archive, destinations }: Ports,
  lacking: Lacking,
  signal: AbortSignal,
): Promise<Set<Ordinal>> {
  const whole = new Set<Ordinal>();
  const isGenuine = genuineIn(archive);
  for (const { destinationId } of destinations.configs) {
    const session = destinations.sessionOf(destinationId);
    if (!session) continue;
    const asked = [...lacking].flatMap(([ordinal, by]) =>
      by.has(destinationId) || whole.has(ordinal) ? [] : [ordinal],
    );
    await unlessItFails(signal, async () => {
      for (let at = 0; at < asked.length; at += readAtOnce) {
        const wanted = new Set(asked.slice(at, at + readAtOnce));
        for await (const record of session.read([...wanted], signal)) {
          const { ordinal } = parseRecordHeader(record);
          if (wanted.has(ordinal) && isGenuine(record)) whole.add(ordinal);
        }
      }
    });
  }
  return whole;
}

/**
 * Reads the raw bytes of a record from one destination after the other, as far as it is asked for more: those that open
 * and have its ordinal. One whose reading fails is asked for no other record either.
 */
export function rawsFrom(
  sessions: readonly Pick<DestinationSession, 'read'>[],
  keys: DeviceArchive['openKeys'],
  signal: AbortSignal,
): (ordinal: Ordinal) => AsyncGenerator<Uint8Array> {
  const failed = new Set<object>();
  return async function* (ordinal) {
    for (const session of sessions) {
      if (failed.has(session)) continue;
      let raw: Uint8Array | undefined;
      const isRead = await unlessItFails(signal, async () => {
        for await (const record of session.read([ordinal], signal)) raw ??= rawOf(record, ordinal, keys);
      });
      if (!isRead) failed.add(session);
      if (raw) yield raw;
    }
  };
}

/** Whether it came to its end. */
async function unlessItFails(signal: AbortSignal, reading: () => Promise<void>): Promise<boolean> {
  try {
    await reading();
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof CodedError)) throw error;
    return false;
  }
}

function rawOf(record: Uint8Array, wanted: Ordinal, keys: DeviceArchive['openKeys']): Uint8Array | undefined {
  try {
    const { header, raw } = openRecordSync(record, keys);
    return header.ordinal === wanted ? raw : undefined;
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}
