import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock, systemRandom } from '@holdfast/base';
import { importHpkeKey } from '@holdfast/trust';
import { DeviceArchive } from '../archive/device-archive.ts';
import { temporaryFolder } from '../filesystem/temporary-folder.ts';
import { makeArchive } from './archive-keyring.ts';
import { type KeyChangeParts, settleEscrow } from './change-keys.ts';
import { slotLives } from './change-slots.ts';
import { escrowChange, EscrowPolicy, type EscrowSetting, judgeEscrow } from './escrow-policy.ts';
import { silentLog } from '../log.ts';
import type { StoredKeys } from './key-store.ts';

const ports = { clock: systemClock, random: systemRandom };
const publicKey = () => importHpkeKey(systemRandom(32)).publicKey;
const keys = { logKey: publicKey(), keystoreKey: publicKey() };
const hour = 3_600_000;
const kindsOf = (stored: StoredKeys) => slotLives(stored).flatMap(({ kind, isCurrent }) => (isCurrent ? [kind] : []));

/** An archive with a recovery code whose policy is settled as an agent does it; time passes only when it is told to. */
function scene(stored: StoredKeys) {
  const facts = new Map<string, string | number | undefined>();
  const kept = {
    fact: (key: string) => facts.get(key),
    setFact: (key: string, value: never) => void facts.set(key, value),
  };
  const known = { nowMs: 1_780_000_000_000, isLogged: true, used: 100, refusal: '', isOnly: false };
  const clock = { ...systemClock, now: () => known.nowMs };
  const policy = () => new EscrowPolicy(kept, { keys, areKeysLogged: () => known.isLogged, clock });
  const archive = {
    stored,
    isIndexLost: false,
    isOverrun: false,
    index: { lease: () => ++known.used },
    ordinalOf: (sequence: number) => sequence,
    save: (next: StoredKeys) => void (archive.stored = next),
  };
  const settle = async (setting: EscrowSetting) => {
    const parts = {
      archive,
      clock,
      random: systemRandom,
      log: silentLog,
      // Anew each time, as after a restart.
      escrow: policy(),
      destinations: {
        sessions: () => [],
        configs: [{ destinationId: 1 }],
        standingOf: () =>
          known.refusal && !known.isOnly ? { status: 'away', error: { code: known.refusal } } : { status: 'ready' },
      },
      protector: {
        exclusive: (work: () => Promise<unknown>) => work(),
        connect: async () => undefined,
        view: { failure: known.refusal && known.isOnly ? { code: known.refusal } : undefined },
      },
    } as unknown as KeyChangeParts;
    await settleEscrow(parts, setting);
    return { epochs: archive.stored.keys.ring.epochs.length, keyrings: archive.stored.keys.keyring.number };
  };
  return { known, archive, settle, policy };
}

test('a server that asks for escrow and against it by turns makes two keyrings and an epoch in a day, and no more', async () => {
  const { known, archive, settle, policy } = scene(makeArchive(ports, systemRandom(32), keys));
  assert.deepEqual(await settle('off'), { epochs: 2, keyrings: 2 });
  assert.deepEqual(kindsOf(archive.stored), ['recovery_code'], 'the first time it is struck at once');
  for (let times = 0; times < 40; times++) {
    known.nowMs += hour / 2;
    await settle('required');
    assert.deepEqual(kindsOf(archive.stored), ['recovery_code', 'escrow']);
    assert.deepEqual(await settle('off'), { epochs: 2, keyrings: 3 });
    assert.equal(judgeEscrow(archive.stored, policy()), 'waits');
  }
  known.nowMs += 4 * hour;
  assert.deepEqual(await settle('off'), { epochs: 3, keyrings: 4 });
  assert.deepEqual(kindsOf(archive.stored), ['recovery_code']);
  // A clock that was ahead when it was struck: it is not waited until then.
  await settle('required');
  known.nowMs -= 1_000 * hour;
  assert.deepEqual(await settle('off'), { epochs: 4, keyrings: 6 });
});

test('a slot that the server found not to open is made anew, once in a day; whatever else is refused changes nothing', async () => {
  const { known, archive, settle } = scene(makeArchive(ports, systemRandom(32), keys));
  const slot = () => slotLives(archive.stored).find(({ kind, isCurrent }) => kind === 'escrow' && isCurrent)!.slotId;
  const first = slot();
  for (const other of ['', 'storage.quota_exceeded', 'storage.keyring_lacks_escrow', 'sdk.unreachable']) {
    known.refusal = other;
    assert.deepEqual(await settle('required'), { epochs: 1, keyrings: 1 }, other);
  }
  known.refusal = 'storage.escrow_broken';
  assert.deepEqual(await settle('required'), { epochs: 2, keyrings: 2 });
  assert.deepEqual(kindsOf(archive.stored).toSorted(), ['escrow', 'recovery_code']);
  assert.notEqual(slot(), first);
  for (let times = 0; times < 40; times++) {
    known.nowMs += hour / 2;
    assert.deepEqual(await settle('required'), { epochs: 2, keyrings: 2 });
  }
  known.nowMs += 5 * hour;
  known.isOnly = true;
  assert.deepEqual(
    await settle('required'),
    { epochs: 3, keyrings: 3 },
    'where it is the only destination a pass says it',
  );
  // Not before the keys were seen in the log, and never in place of what the user chose.
  known.nowMs += 25 * hour;
  known.isLogged = false;
  assert.deepEqual(await settle('required'), { epochs: 3, keyrings: 3 });
  known.isLogged = true;
  archive.stored = { ...archive.stored, choice: 'password' };
  assert.deepEqual(await settle('required'), { epochs: 3, keyrings: 3 });
});

test('no slot is sealed to escrow keys that were not seen in the key log, and one that is there stays', async () => {
  const { known, archive, settle, policy } = scene(makeArchive(ports, systemRandom(32)));
  known.isLogged = false;
  for (const setting of ['required', 'always'] as const) {
    assert.deepEqual(await settle(setting), { epochs: 1, keyrings: 1 });
    assert.equal(judgeEscrow(archive.stored, policy()), 'not_logged');
    assert.equal(escrowChange(archive.stored, policy(), systemRandom), undefined);
  }
  known.isLogged = true;
  assert.deepEqual(await settle('required'), { epochs: 1, keyrings: 2 });
  assert.equal(judgeEscrow(archive.stored, policy()), 'in_place');
  known.isLogged = false;
  assert.equal(judgeEscrow(archive.stored, policy()), 'in_place');
  const other = makeArchive(ports, systemRandom(32), { logKey: publicKey(), keystoreKey: publicKey() });
  assert.equal(judgeEscrow(other, policy()), 'not_logged', 'nor is escrow for others exchanged for it');
  await settle('off');
  assert.deepEqual(kindsOf(archive.stored), ['recovery_code'], 'it is struck all the same');
});

test('a new archive begins with escrow where its keys were seen in the key log, and without it where they were not', (t) => {
  for (const areKeysLogged of [true, false]) {
    const archive = DeviceArchive.open(temporaryFolder(t), ports, { keys, setting: 'required', areKeysLogged });
    assert.deepEqual(kindsOf(archive.stored), areKeysLogged ? ['escrow'] : []);
    archive.close();
  }
});
