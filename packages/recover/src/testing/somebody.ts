import type { Device } from './device.ts';
import type { ArchiveWriter } from './write-archive.ts';
import type { WrittenSlot } from './write-slots.ts';

/** What somebody writes with instead of what the archive's writer has. */
export type Somebody = {
  readonly devices?: readonly Device[];
  readonly keyring?: { readonly number: number; readonly hash: Buffer };
  readonly slots?: readonly WrittenSlot[];
  readonly epochs?: readonly (readonly [number, Buffer])[];
};

/** Lets somebody else write to an archive; what the writer goes on from stays as it was. */
export function asSomebody<T>(writer: ArchiveWriter, somebody: Somebody, act: () => T): T {
  const { keyring, slots, epoch, checkpoint } = writer;
  const kept = { devices: [...writer.devices], commits: [...writer.commits] };
  const [epochs, state] = [[...writer.epochs], [...writer.state]];
  const { devices, epochs: ofHis, ...rest } = somebody;
  if (devices !== undefined) writer.devices.splice(0, Infinity, ...devices);
  if (ofHis !== undefined) refill(writer.epochs, ofHis);
  Object.assign(writer, { ...rest, epoch: ofHis?.at(-1)?.[0] ?? epoch });
  const outcome = act();
  writer.devices.splice(0, Infinity, ...kept.devices);
  writer.commits.splice(0, Infinity, ...kept.commits);
  refill(writer.epochs, epochs);
  refill(writer.state, state);
  Object.assign(writer, { keyring, slots, epoch, checkpoint });
  return outcome;
}

function refill<K, V>(map: Map<K, V>, entries: readonly (readonly [K, V])[]): void {
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}
