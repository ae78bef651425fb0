import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock, systemRandom } from '@holdfast/base';
import { XaesKey } from '../crypto/xaes.node.ts';
import { encodeRing, parseKeyring } from '../format/keyring.ts';
import { deriveEpochKeys } from '../format/keys.node.ts';
import { ordinalOf } from '../format/ordinal.ts';
import { splitRecord } from '../format/record.ts';
import { openRecoverySlot } from '../format/slot.ts';
import { timeOfMilliseconds } from '../format/time.ts';
import { ArchiveMaker } from '../testing/archive-maker.ts';
import { createArchive, sealKeyring } from './archive-keys.ts';
import { deriveReadKeys, type OpenedKeyring, withOpenedKeyring } from './open-keyring.ts';

const clock = manualClock(1_700_000_000_000);
let ringKey = new Uint8Array();
const wrapSlots = (_: unknown, key: Uint8Array) => {
  ringKey = new Uint8Array(key);
  return [];
};

/** A keyring record with so many epochs, its ring key, and what is in it. */
function makeKeyring(epochs: number) {
  const created = createArchive(clock, wrapSlots);
  let made = { keys: created.keys, record: created.keyring };
  for (let number = 1; number < epochs; number += 1) {
    const next = {
      ordinal: ordinalOf(0, number + 1),
      writers: [writerOf(made.record)],
      wrapSlots,
      clock,
      beginsEpoch: true,
    };
    made = sealKeyring(made.keys, next);
  }
  const { archiveId, ring } = made.keys;
  return { record: made.record, archiveId, ring, ringKey };

  function writerOf(record: Uint8Array) {
    return withOpenedKeyring(
      record,
      { archiveId: created.keys.archiveId, ringKey },
      ({ keyring }) => keyring.writers[0]!,
    );
  }
}

/** A keyring whose ring is compressed, as they were made before, with so many epochs. */
async function makeOlderKeyring(epochs: number) {
  const maker = new ArchiveMaker('older keyring', systemRandom(32));
  const madeAt = timeOfMilliseconds(clock.now());
  for (let number = 0; number < epochs; number += 1) maker.addEpoch(madeAt);
  const record = maker.keyring(madeAt).bytes;
  const { archiveId } = maker;
  const place = { archiveId, keyringNumber: 1 };
  const { slots } = parseKeyring(splitRecord(record).open);
  const [key] = (await Promise.all(slots.map((slot) => openRecoverySlot(slot, place, maker.entropy)))).filter(Boolean);
  return { record, archiveId, ring: { epochs: maker.epochs }, ringKey: key! };
}

test('a keyring opens by its ring key as long as it is worked with, and is zeros afterwards, compressed or not', async () => {
  const plain = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  for (const made of [makeKeyring(1), makeKeyring(40), await makeOlderKeyring(40)]) {
    const { record, ring, ...keys } = made;
    let kept: OpenedKeyring | undefined;
    const opened = withOpenedKeyring(record, keys, (own) => {
      kept = own;
      assert.deepEqual(plain(own.raw), plain(encodeRing(own.ring)));
      return own.ring.epochs.map(({ number, key }) => [number, plain(key)]);
    });
    assert.deepEqual(
      opened,
      ring.epochs.map(({ number, key }) => [number, plain(key)]),
    );
    assert.equal(kept?.sealedUnder, ring.epochs.length - 1);
    assert.ok(kept.raw.length > 50 && kept.raw.every((byte) => byte === 0));
    assert.ok(kept.ring.epochs.every(({ key }) => key.length === 32 && key.every((byte) => byte === 0)));
  }
});

test('a ring lies in its keyring without compression, which would keep a copy where nobody can overwrite it', async () => {
  const ofRing = ({ record }: { readonly record: Uint8Array }) => splitRecord(record).header.sealedBytes;
  assert.ok(ofRing(makeKeyring(40)) > ofRing(await makeOlderKeyring(40)));
});

test('the ring is zeros also where the work with it fails', () => {
  const { record, ...keys } = makeKeyring(2);
  let kept = new Uint8Array();
  const failing = () =>
    withOpenedKeyring(record, keys, ({ raw }) => {
      kept = raw as Uint8Array<ArrayBuffer>;
      throw new Error('the work fails');
    });
  assert.throws(failing, /the work fails/);
  assert.ok(kept.length > 70 && kept.every((byte) => byte === 0));
});

test('another ring key, another archive and an altered record open nothing', () => {
  const { record, archiveId, ringKey: own } = makeKeyring(1);
  const flip = (bytes: Uint8Array, at: number) => bytes.with(at, bytes[at]! ^ 1);
  const open = (bytes: Uint8Array, keys = { archiveId, ringKey: own }) =>
    withOpenedKeyring(bytes, keys, () => 'opened');
  const code = 'archive.not_authentic';
  assert.throws(() => open(record, { archiveId, ringKey: systemRandom(32) }), { code });
  assert.throws(() => open(record, { archiveId: flip(archiveId, 3), ringKey: own }), { code });
  assert.throws(() => open(flip(record, 60)), { code }, 'the open part is bound to the ring');
  assert.throws(() => open(flip(record, record.length - 100)), { code });
  assert.throws(() => open(createArchive(clock, wrapSlots).header), { code: 'archive.corrupt' });
  assert.equal(open(record), 'opened');
});

test('the keys that read an epoch are those by which its records are sealed', () => {
  const [archiveId, epochKey] = [systemRandom(16), systemRandom(32)];
  const { data, metadata } = deriveEpochKeys(archiveId, 3, epochKey);
  const read = deriveReadKeys(archiveId, epochKey);
  assert.deepEqual([Buffer.from(read.data), Buffer.from(read.metadata)], [Buffer.from(data), Buffer.from(metadata)]);
});

test('a key that was closed opens nothing more', () => {
  const key = new XaesKey(systemRandom(32));
  const [nonce, associated] = [systemRandom(24), new Uint8Array()];
  const sealed = key.seal({ nonce, parts: [new Uint8Array(5)], associated });
  assert.equal(key.open(nonce, sealed, associated).length, 5);
  key.close();
  assert.throws(() => key.open(nonce, sealed, associated));
});
