import { hash } from 'node:crypto';

import { equalBytes } from '../format/cursor.ts';
import { parseKeyring } from '../format/keyring.ts';
import { splitRecord } from '../format/record.ts';
import { archiveFiles } from './archive-files.ts';
import type { ArchiveMaker } from './archive-maker.ts';
import { begin, expectOf, type GoldenArchive, putVolume } from './golden-begin.ts';
import { golden, prose, putFile } from './golden-rows.ts';
import { customKeySlot, escrowSlot, passwordSlot } from './made-slots.ts';
import { publicHalf } from './seal-to-public-key.ts';

const secretOf = (name: string): Uint8Array => hash('sha256', `holdfast golden ${name}`, 'buffer');
const passwords = { old: 'an old archive key password', new: 'kl\u{fc}ger: neues Pa\u{df}wort \u{1f511}' };

/**
 * Slots of every kind: for escrow from the start, a password from the second keyring on, which the third changes, and
 * there a custom key. With the third an epoch begins.
 */
export async function makeSlots(): Promise<GoldenArchive> {
  const scene = begin('slots');
  const { maker } = scene;
  const escrow = { logKey: secretOf('log key'), keystoreKey: secretOf('keystore key') };
  const customKey = secretOf('custom key');
  const [code] = maker.slots;
  const { logKey, keystoreKey } = escrow;
  const escrowed = escrowSlot(maker, { logKey: publicHalf(logKey), keystoreKey: publicHalf(keystoreKey) });
  const home = putVolume(scene);
  putFile(scene, `${home}/first`, [prose('escrow', 100)]);
  maker.slots = [code!, escrowed];
  maker.keyring(golden(0));
  await scene.commit({ time: golden(10) });
  maker.slots = [code!, escrowed, passwordSlot(maker, passwords.old, [19_456, 1, 1])];
  maker.keyring(golden(20));
  putFile(scene, `${home}/second`, [prose('password', 110)]);
  await scene.commit({ time: golden(30) });
  const changed = passwordSlot(maker, passwords.new, [20_000, 2, 3]);
  maker.slots = [code!, escrowed, changed, customKeySlot(maker, customKey)];
  maker.addEpoch(golden(40));
  maker.keyring(golden(41));
  putFile(scene, `${home}/third`, [prose('custom key', 120)]);
  await scene.commit({ time: golden(50), isCheckpoint: true });
  const files = archiveFiles(maker.archiveId, maker.records, {
    segments: [{ records: maker.records, end: 'no parity' }],
  });
  const secrets = {
    passwords: [
      { password: passwords.new, keyring: 4, head: 3 },
      { password: passwords.old, keyring: 3, head: 2 },
    ],
    customKey: customKey.toBase64(),
    escrow: { logKey: escrow.logKey.toHex(), keystoreKey: escrow.keystoreKey.toHex() },
  };
  const slots = slotFacts(maker);
  return { files, keyFile: maker.keyFile(), expected: expectOf(scene, { secrets, slots }) };
}

/** The slots of the newest keyring as they are written, with what opens each. */
function slotFacts(maker: ArchiveMaker): readonly Readonly<Record<string, string | number>>[] {
  const record = maker.records.findLast(({ kind }) => kind === 'keyring')!;
  return parseKeyring(splitRecord(record.bytes).open).slots.flatMap((slot) => {
    const made = maker.slots.find(({ slotId }) => equalBytes(slotId, slot.slotId));
    if (made === undefined) return [];
    return {
      slotId: slot.slotId.toHex(),
      kind: slot.kind,
      commitment: slot.commitment.toHex(),
      wrappedRingKey: slot.wrappedRingKey.toHex(),
      ...(slot.parameters && { parameters: slot.parameters.toHex() }),
      slotKey: made.slotKey.toHex(),
    };
  });
}
