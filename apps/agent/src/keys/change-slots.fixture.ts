/** Changes the custom key of a key file again and again, until it is killed; says each keyring that is kept. */
import { writeSync } from 'node:fs';
import { systemClock, systemRandom } from '@holdfast/base';
import { prepareCustomKeySlot } from '@holdfast/trust';
import { withOwnKey } from './change-slots.ts';
import { KeyStore } from './key-store.ts';

const [file = ''] = process.argv.slice(2);
const store = new KeyStore(file);
for (;;) {
  const before = store.load()!;
  const number = before.keys.keyring.number + 1;
  // The key of each keyring is its number over and over, but for the first byte.
  const slot = prepareCustomKeySlot(
    before.keys.archiveId,
    new Uint8Array(32).fill(number % 251).with(0, 255),
    systemRandom,
  );
  const ports = { clock: systemClock, random: systemRandom, ordinal: number + 1 };
  store.save(withOwnKey(before, { choice: 'custom', slot, keepsEscrow: false }, ports));
  writeSync(1, `${number}\n`);
}
