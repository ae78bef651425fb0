import assert from 'node:assert/strict';
import { createPrivateKey, sign } from 'node:crypto';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { introductionMessage, ordinalOf, parseKeyring, sealKeyring, splitRecord, type Writer } from '@holdfast/archive';
import { CodedError, manualClock, systemClock, systemRandom } from '@holdfast/base';
import { openSlot, parseKeyFile, parseRecoveryCode } from '@holdfast/trust';
import {
  hasRecoverySlot,
  makeArchive,
  withForeignKeyrings,
  withNewWriter,
  withRecoveryCode,
  writersOf,
} from './archive-keyring.ts';
import { exportKey } from './export-key.ts';
import { KeyStore, type StoredKeys } from './key-store.ts';
import { ShownRecoveryCode } from './recovery-code.ts';

const ports = { clock: systemClock, random: systemRandom };

function newStore(t: TestContext): KeyStore {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast keys '));
  t.after(() => rmSync(folder, { recursive: true }));
  return new KeyStore(path.join(folder, 'keys.json'));
}

function codeOf(error: unknown): string {
  return error instanceof CodedError ? error.code : String(error);
}

/** Bytes as hexadecimal, whatever array they are in. */
function plain(value: object): unknown {
  const text = JSON.stringify(value, (_, each: unknown) =>
    each instanceof Uint8Array || (each as { type?: string } | null)?.type === 'Buffer'
      ? Buffer.from(each as Uint8Array).toString('hex')
      : each,
  );
  return JSON.parse(text);
}

/** How many recovery slots of the newest keyring a secret opens. */
function opens(stored: StoredKeys, secret: Uint8Array): boolean {
  const keyring = parseKeyring(splitRecord(stored.keyRecords.at(-1)!).open);
  const place = { archiveId: stored.keys.archiveId, keyringNumber: keyring.number };
  return keyring.slots.some((slot) => openSlot(slot, place, secret) !== undefined);
}

test('keys are stored for their owner alone and come back as they were', (t) => {
  const store = newStore(t);
  assert.equal(store.load(), undefined);
  const stored = makeArchive(ports, systemRandom(32));
  store.save(stored);
  assert.equal(statSync(store.path).mode & 0o7777, 0o600);
  const loaded = store.load()!;
  assert.deepEqual(plain(loaded.keys), plain(stored.keys));
  assert.deepEqual(
    loaded.keyRecords.map((record) => Buffer.from(record)),
    stored.keyRecords.map((record) => Buffer.from(record)),
  );
  store.remove();
  assert.equal(store.load(), undefined);
});

test('a key file that others can read or write is refused, until it is private again', (t) => {
  const store = newStore(t);
  store.save(makeArchive(ports));
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o660, 0o666, 0o777]) {
    chmodSync(store.path, mode);
    assert.throws(
      () => store.load(),
      (error) => codeOf(error) === 'keys.exposed',
    );
  }
  for (const mode of [0o600, 0o400]) {
    chmodSync(store.path, mode);
    assert.ok(store.load());
  }
});

test("another user's key file is refused", { skip: process.getuid?.() !== 0 && 'needs root' }, (t) => {
  const store = newStore(t);
  store.save(makeArchive(ports));
  chownSync(store.path, 65_534, 65_534);
  assert.throws(
    () => store.load(),
    (error) => codeOf(error) === 'keys.other_owner',
  );
  chownSync(store.path, 0, 0);
  assert.ok(store.load());
});

test('a damaged key file is said to be damaged, without what it holds', (t) => {
  const store = newStore(t);
  for (const text of ['', '{', '[]', '{"version":2}', '{"version":2,"signingSeed":"secret"}', '\u0000']) {
    writeFileSync(store.path, text, { mode: 0o600 });
    assert.throws(
      () => store.load(),
      (error) =>
        error instanceof CodedError &&
        error.code === 'keys.damaged' &&
        !JSON.stringify(error.details).includes('secret') &&
        error.cause === undefined,
    );
  }
});

test('a recovery code opens the archive only once it was typed back, and strikes the one before', () => {
  const shown = new ShownRecoveryCode(ports);
  const before = makeArchive(ports);
  assert.equal(hasRecoverySlot(before), false);
  const first = shown.show();
  assert.throws(
    () => shown.confirm(new ShownRecoveryCode(ports).show()),
    (error) => codeOf(error) === 'keys.code_differs',
  );
  assert.throws(
    () => shown.confirm('abandon'),
    (error) => codeOf(error) === 'recovery_code.wrong_length',
  );
  const withFirst = withRecoveryCode(before, shown.confirm(first.toUpperCase()), { ...ports, ordinal: 2 });
  assert.throws(
    () => shown.confirm(first),
    (error) => codeOf(error) === 'keys.no_code_shown',
  );
  assert.equal(opens(withFirst, parseRecoveryCode(first)), true);
  const second = shown.show();
  const withSecond = withRecoveryCode(withFirst, shown.confirm(second), { ...ports, ordinal: 3 });
  assert.equal(opens(withSecond, parseRecoveryCode(second)), true);
  assert.equal(opens(withSecond, parseRecoveryCode(first)), false);
  assert.equal(withSecond.keys.keyring.number, 3);
  const epochs = [before, withFirst, withSecond].map(({ keys }) => keys.ring.epochs.map(({ number }) => number));
  assert.deepEqual(epochs, [[0], [0], [0, 1]], 'what comes after the first code is struck has a key of its own');
  assert.deepEqual(withSecond.keys.ring.epochs[0], before.keys.ring.epochs[0]);
});

test('a code that was shown long ago can no longer be confirmed', () => {
  const clock = manualClock();
  const shown = new ShownRecoveryCode({ clock, random: systemRandom });
  const code = shown.show();
  clock.advance(31 * 60_000);
  assert.throws(
    () => shown.confirm(code),
    (error) => codeOf(error) === 'keys.no_code_shown',
  );
});

test('a new writer keeps the recovery code, and is listed with its first commit', () => {
  const secret = systemRandom(32);
  const before = makeArchive(ports, secret);
  const after = withNewWriter(before, { headNumber: 7, origin: 'state_lost' }, ports);
  assert.equal(opens(after, secret), true);
  assert.deepEqual(
    writersOf(after).map(({ number, firstCommit, origin }) => [number, firstCommit, origin]),
    [
      [0, 1, 'first'],
      [1, 8, 'state_lost'],
    ],
  );
  assert.notDeepEqual(after.keys.signingSeed, before.keys.signingSeed);
});

test("the keyrings of a clone's other life are taken over as far as they follow ours", () => {
  const before = makeArchive(ports);
  const clone = withNewWriter(before, { headNumber: 3, origin: 'state_lost' }, ports);
  const again = withNewWriter(clone, { headNumber: 9, origin: 'state_lost' }, ports);
  const taken = withForeignKeyrings(before, again.keyRecords.slice(2));
  assert.deepEqual(plain(taken.keys.keyring), plain(again.keys.keyring));
  assert.equal(writersOf(taken).length, 3);
  assert.equal(withForeignKeyrings(before, again.keyRecords.slice(3)).keys.keyring.number, 1);
  const stranger = makeArchive(ports);
  const forged = { ...before, keys: { ...before.keys, signingSeed: stranger.keys.signingSeed } };
  const intruder = withNewWriter(forged, { headNumber: 3, origin: 'state_lost' }, ports);
  assert.equal(
    withForeignKeyrings(before, intruder.keyRecords.slice(2)).keys.keyring.number,
    1,
    'nobody introduced it',
  );
});

test('a keyring of an epoch that is not ours is not taken over: a code that another life struck stays struck', () => {
  const before = makeArchive(ports, systemRandom(32));
  const { writerNumber } = before.keys;
  const struck = withRecoveryCode(before, systemRandom(32), { ...ports, ordinal: ordinalOf(writerNumber, 9) });
  assert.equal(struck.keys.ring.epochs.length, 2);
  assert.equal(withForeignKeyrings(before, struck.keyRecords.slice(2)).keys.keyring.number, 1);
  // Nor is what follows it.
  const later = withNewWriter(struck, { headNumber: 3, origin: 'state_lost' }, ports);
  assert.equal(withForeignKeyrings(before, later.keyRecords.slice(2)).keys.keyring.number, 1);
  const same = withNewWriter(before, { headNumber: 3, origin: 'state_lost' }, ports);
  assert.equal(withForeignKeyrings(before, same.keyRecords.slice(2)).keys.keyring.number, 2);
  assert.equal(withForeignKeyrings(struck, later.keyRecords.slice(3)).keys.keyring.number, 3);
});

test('a key file of the draft before is named as such, and one that is damaged is not', (t) => {
  const store = newStore(t);
  store.save(makeArchive(ports, systemRandom(32)));
  const content = JSON.parse(readFileSync(store.path, 'utf8')) as object;
  const load = (changed: unknown) => {
    writeFileSync(store.path, JSON.stringify(changed));
    return () => store.load();
  };
  for (const older of [{ ...content, version: 1 }, { version: 1 }])
    assert.throws(load(older), { code: 'keys.older_draft' });
  for (const damaged of [{ ...content, version: 3 }, { ...content, archiveId: '' }, 1, null])
    assert.throws(load(damaged), { code: 'keys.damaged' });
  assert.ok(load(content)()?.keys.archiveId);
});

/** A keyring after `from` by its newest writer, whose list of writers is changed by hand. */
function withWriters(from: StoredKeys, change: (writers: readonly Writer[]) => readonly Writer[]): Uint8Array {
  const writers = change(writersOf(from));
  const ordinal = ordinalOf(from.keys.writerNumber, 9);
  return sealKeyring(from.keys, { ordinal, writers, wrapSlots: () => [], ...ports }).record;
}

test('a foreign keyring counts only where the writer before introduces each new one and known ones are as they were', () => {
  const before = makeArchive(ports);
  const second = withNewWriter(before, { headNumber: 3, origin: 'state_lost' }, ports);
  const take = (record: Uint8Array) => withForeignKeyrings(second, [record]).keys.keyring.number;
  assert.equal(take(withWriters(second, (writers) => writers)), 3);
  assert.equal(take(withNewWriter(second, { headNumber: 9, origin: 'state_lost' }, ports).keyRecords.at(-1)!), 3);
  const later = (writers: readonly Writer[]) => writers.map((writer) => ({ ...writer, firstCommit: 2 }));
  const renamed = (writers: readonly Writer[]) => writers.map((writer) => ({ ...writer, origin: 'first' as const }));
  const unsigned = (writers: readonly Writer[]) =>
    writers.map(({ number, publicKey, firstCommit, origin }) => ({ number, publicKey, firstCommit, origin }));
  for (const change of [later, renamed, unsigned, (writers: readonly Writer[]) => writers.slice(1)]) {
    assert.equal(take(withWriters(second, change)), 2);
  }
  // Who has the key of a writer that has ended: it may write no further keyring, and may not bring in another one.
  const key = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), before.keys.signingSeed]),
    format: 'der',
    type: 'pkcs8',
  });
  const ended = { ...before, keyRecords: second.keyRecords };
  const byEnded = withWriters({ ...ended, keys: { ...before.keys, keyring: second.keys.keyring } }, (all) => all);
  assert.equal(take(byEnded), 2);
  const third = withNewWriter(second, { headNumber: 9, origin: 'state_lost' }, ports);
  const intruder = withWriters({ ...third, keys: { ...third.keys, keyring: second.keys.keyring } }, (writers) =>
    writers.map((writer) => {
      if (writer.number !== 2) return writer;
      return { ...writer, introduction: sign(null, introductionMessage(before.keys.archiveId, writer), key) };
    }),
  );
  assert.equal(take(intruder), 2);
});

test('a device that holds the key of a writer that has ended brings in the next one without an introduction', () => {
  const before = makeArchive(ports);
  const other = withNewWriter(before, { headNumber: 3, origin: 'state_lost' }, ports);
  const taken = withForeignKeyrings(before, other.keyRecords.slice(2));
  const again = withNewWriter(taken, { headNumber: 5, origin: 'state_lost' }, ports);
  const introduced = writersOf(again).map(({ introduction }) => introduction !== undefined);
  assert.deepEqual(introduced, [false, true, false]);
});

test('an exported key file names the archive and its epochs', () => {
  const { keys } = makeArchive(ports);
  const parsed = parseKeyFile(exportKey(keys));
  assert.deepEqual(Buffer.from(parsed.archiveId), Buffer.from(keys.archiveId));
  assert.deepEqual(
    parsed.epochs.map(({ epoch, key }) => [epoch, Buffer.from(key)]),
    [[0, Buffer.from(keys.ring.epochs[0]!.key)]],
  );
});
