/** What tests of the whole product do with the keys of a device: as who stole its disk would. */
import { systemClock, systemRandom } from '@holdfast/base';
import { DeviceArchive } from '../archive/device-archive.ts';
import { type SlotChange, withChangedSlots } from './change-slots.ts';
import type { StoredKeys } from './key-store.ts';

export { withChangedSlots } from './change-slots.ts';
export { KeyStore, type StoredKeys } from './key-store.ts';

/** Gives the archive of an agent that does not run its next keyring, with other slots, as a fault of its own would. */
export function changeStoredSlots(stateDir: string, change: (stored: StoredKeys) => SlotChange): void {
  const ports = { clock: systemClock, random: systemRandom };
  const archive = DeviceArchive.open(stateDir, ports);
  try {
    const ordinal = archive.ordinalOf(archive.index.lease('ordinals', 1));
    archive.save(withChangedSlots(archive.stored, change(archive.stored), { ...ports, ordinal }));
  } finally {
    archive.close();
  }
}
