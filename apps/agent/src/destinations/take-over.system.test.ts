import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { ordinalOf, parseKeyring, RecordKind, splitRecord } from '@holdfast/archive';
import { CodedError, systemClock, systemRandom } from '@holdfast/base';
import { escrowSlotKind, importHpkeKey } from '@holdfast/trust';
import { DeviceArchive } from '../archive/device-archive.ts';
import { createLinuxSource } from '../engine/linux-source.ts';
import { temporaryFolder } from '../filesystem/temporary-folder.ts';
import { newestKeyring, writersOf } from '../keys/archive-keyring.ts';
import { type EscrowFacts, judgeEscrow } from '../keys/escrow-policy.ts';
import { sendKeyRecords } from './catch-up.ts';
import type { DestinationSession } from './destination-place.ts';
import { folderPlace, prepareFolder } from './folder-place.ts';
import { readProvenKeyrings, readShownState, takeOver } from './take-over.ts';

const { signal } = new AbortController();
const ports = { clock: systemClock, random: systemRandom, source: createLinuxSource(), signal };

/** A device with a destination that takes only writers who are introduced, as the cloud does. */
class Scene {
  readonly stateDir: string;
  readonly folder: string;

  constructor(t: TestContext) {
    const folder = temporaryFolder(t);
    this.stateDir = path.join(folder, 'state');
    this.folder = path.join(folder, 'destination');
    for (const dir of [this.stateDir, this.folder]) mkdirSync(dir, { mode: 0o700 });
  }

  /** Runs `work` with the archive as a process that starts anew finds it, and an open session. */
  async run<T>(
    work: (archive: DeviceArchive, session: DestinationSession) => Promise<T>,
    escrow?: EscrowFacts,
  ): Promise<T> {
    const archive = DeviceArchive.open(this.stateDir, ports, escrow);
    const { archiveId, stored } = archive;
    await prepareFolder(this.folder, archiveId);
    const place = folderPlace({ destinationId: 1, name: 'folder', kind: 'folder', folder: this.folder });
    const facts = { archiveId, known: undefined, keyRecords: stored.keyRecords, ...ports };
    const session = await place.open(facts);
    await sendKeyRecords(session, stored.keyRecords);
    await session.close();
    const again = Object.assign(await place.open(facts), { requiresIntroduction: true });
    try {
      return await work(archive, again);
    } finally {
      await again.close();
      archive.close();
    }
  }
}

async function goOn(archive: DeviceArchive, session: DestinationSession): Promise<void> {
  await takeOver(archive, session, await readShownState(archive, session), ports);
}

/** Sends, and loses the answer; or does not even send. */
function losing(session: DestinationSession, loses: 'answer' | 'everything'): DestinationSession {
  const append = session.append.bind(session);
  return Object.assign(session, {
    append: async (fragment: Uint8Array) => {
      if (loses === 'answer') await append(fragment);
      throw new Error(`the ${loses} is lost`);
    },
  });
}

test('a device that ends right after its new keyring was taken goes on, and every writer is introduced', async (t) => {
  const scene = new Scene(t);
  const lost = scene.run((archive, session) => goOn(archive, losing(session, 'answer')));
  await assert.rejects(lost, /the answer is lost/);
  await scene.run(async (archive, session) => {
    assert.equal(archive.stored.keys.writerNumber, 0);
    await goOn(archive, session);
    const writers = writersOf(archive.stored);
    assert.deepEqual(
      writers.map(({ number, introduction }) => [number, introduction !== undefined]),
      [
        [0, false],
        [1, true],
        [2, true],
      ],
    );
    assert.equal(archive.stored.keys.writerNumber, 2);
    assert.equal(archive.announced(), undefined);
  });
});

test('a keyring that was announced and never arrived leaves no trace', async (t) => {
  const scene = new Scene(t);
  const lost = scene.run((archive, session) => goOn(archive, losing(session, 'everything')));
  await assert.rejects(lost, /everything is lost/);
  await scene.run(async (archive, session) => {
    await goOn(archive, session);
    assert.deepEqual([archive.stored.keys.writerNumber, archive.stored.keys.keyring.number], [1, 2]);
  });
});

test('a new writer brings the escrow that is asked for, also where a keyring without it was announced and refused', async (t) => {
  const key = () => importHpkeKey(systemRandom(32)).publicKey;
  const keys = { logKey: key(), keystoreKey: key() };
  const escrow = { keys, setting: 'required', areKeysLogged: true } as const;
  const escrowSlots = ({ stored }: DeviceArchive) =>
    newestKeyring(stored).slots.filter(({ kind }) => kind === escrowSlotKind).length;
  const scene = new Scene(t);
  const refused = scene.run((archive, session) => goOn(archive, losing(session, 'everything')));
  await assert.rejects(refused, /everything is lost/);
  await scene.run(async (archive, session) => {
    assert.notEqual(archive.announced(), undefined);
    await goOn(archive, session);
    assert.deepEqual([archive.stored.keys.writerNumber, archive.stored.keys.keyring.number], [1, 2]);
    assert.equal(escrowSlots(archive), 1);
    await goOn(archive, session);
    assert.deepEqual([escrowSlots(archive), judgeEscrow(archive.stored, escrow)], [1, 'in_place']);
  }, escrow);
});

test('a copy of the state from before another writer came in is told so, and loses nothing of what it knows', async (t) => {
  const scene = new Scene(t);
  await scene.run(async (archive, session) => {
    const { stored } = archive;
    await goOn(archive, session);
    archive.save(stored);
  });
  await scene.run(async (archive, session) => {
    const told = goOn(archive, session);
    await assert.rejects(told, (error) => {
      assert.ok(error instanceof CodedError);
      assert.equal(error.code, 'destinations.overtaken');
      return /enrol it as a new device/.test(String(error.details['remedy']));
    });
    const newest = archive.stored.keyRecords.at(-1)!;
    assert.equal(parseKeyring(splitRecord(newest).open).number, 1, 'no foreign keyring was taken in');
  });
});

test('of keyrings that a destination shows, those that follow are taken whatever else is listed, and no list is endless', async (t) => {
  const scene = new Scene(t);
  await scene.run(async (archive, session) => {
    const before = archive.stored;
    for (let life = 0; life < 2; life++) await goOn(archive, session);
    archive.save(before);
  });
  await scene.run(async (archive, session) => {
    const listed: { ordinal: number; kind: number }[] = [];
    for await (const each of session.list(RecordKind.keyring)) listed.push(each);
    assert.ok(listed.length >= 3);
    let given = 0;
    const showing = (list: DestinationSession['list']): DestinationSession => {
      const told: Partial<DestinationSession> = {
        name: session.name,
        keyringNumber: session.keyringNumber,
        list,
        async *read(ordinals) {
          for await (const record of session.read(ordinals)) {
            given++;
            yield record;
          }
        },
      };
      return told as DestinationSession;
    };
    const kind = RecordKind.keyring;
    const genuine = showing(async function* () {
      yield* listed.toReversed();
    });
    const taken = await readProvenKeyrings(archive, genuine);
    assert.equal(taken.keys.keyring.number, session.keyringNumber);
    assert.ok(given <= 2 * listed.length, `${given} records were read`);
    const strange = showing(async function* () {
      for (let sequence = 1000; sequence < 1300; sequence++) yield { ordinal: ordinalOf(9, sequence), kind };
      yield* [...listed, ...listed];
    });
    assert.equal((await readProvenKeyrings(archive, strange)).keys.keyring.number, session.keyringNumber);
    const endless = showing(async function* () {
      for (let sequence = 1000; ; sequence++) yield { ordinal: ordinalOf(9, sequence), kind };
    });
    await assert.rejects(readProvenKeyrings(archive, endless), { code: 'destinations.keyring_unproven' });
    const withoutSecond = showing(async function* () {
      yield* listed.filter((_, place) => place !== 1);
    });
    await assert.rejects(readProvenKeyrings(archive, withoutSecond), { code: 'destinations.keyring_unproven' });
  });
});
