import assert from 'node:assert/strict';
import test from 'node:test';

import { hkdf } from '../crypto/derive.node.ts';
import { openHpkeWeb } from '../crypto/hpke-web.ts';
import { ByteWriter, equalBytes, joinBytes } from '../format/cursor.ts';
import { slotKinds, type WriterOrigin } from '../format/keyring.ts';
import { type MadeRecord, newestOf } from '../testing/archive-maker.ts';
import { fixedTools } from '../testing/folder-source.ts';
import { ForgedLife, type Knowledge, knowledgeOf } from '../testing/forged-life.ts';
import { begin, goldenEntropy } from '../testing/golden-begin.ts';
import { golden, ownedDirectory } from '../testing/golden-rows.ts';
import { customKeySlot } from '../testing/made-slots.ts';
import { memorySource } from '../testing/memory-source.ts';
import { openArchive } from './open-archive.ts';
import type { OpenSlot, ReadAccess, ReadChoice } from './record-source.ts';

const ascii = (text: string) => new TextEncoder().encode(text);

/** The hashes of the keyrings that were made, by number. */
async function hashesOf(records: readonly MadeRecord[]): Promise<readonly Uint8Array[]> {
  const keyrings = records.filter(({ kind }) => kind === 'keyring');
  return Promise.all(
    keyrings.map(async ({ bytes }) => new Uint8Array(await crypto.subtle.digest('SHA-256', joinBytes(bytes)))),
  );
}

function byCustomKey(key: Uint8Array): OpenSlot {
  return (slot, { archiveId, keyringNumber }) => {
    if (slot.kind !== slotKinds.customKey) return undefined;
    const slotKey = hkdf(key, joinBytes(archiveId, slot.slotId), 'holdfast v1 custom key slot');
    const info = new ByteWriter().put(ascii('holdfast v1 slot')).put(archiveId).u32(keyringNumber).put(slot.slotId);
    return openHpkeWeb(joinBytes(slotKey), info.written(), joinBytes(slot.wrappedRingKey)).catch(() => undefined);
  };
}

/**
 * Commit 1 of writer 0 under keyring 1, whose ring and seed are stolen then; writer 1 with keyring 2, from commit 2 on, with an
 * epoch of its own, a slot for a new key, and two commits.
 */
async function succeeded(origin: WriterOrigin, isIntroduced: boolean) {
  const scene = begin('lives');
  const { maker } = scene;
  scene.directory('volume', ownedDirectory);
  const first = await scene.commit({ time: golden(10) });
  const known = knowledgeOf(maker);
  maker.addWriter(origin, 2, isIntroduced);
  maker.addEpoch(golden(20));
  const newKey = maker.random(32);
  maker.slots = [...maker.slots, customKeySlot(maker, newKey)];
  maker.keyring(golden(20));
  for (const name of ['volume/below', 'volume/other']) {
    scene.directory(name, ownedDirectory);
    await scene.commit({ time: golden(30) });
  }
  const [one, two] = await hashesOf(maker.records);
  return { scene, maker, known, first, newKey, one: one!, two: two! };
}

type Scene = Awaited<ReturnType<typeof succeeded>>;

const introduced = () => succeeded('device_signed', true);
const byCode = () => succeeded('recovery_code', false);

/** A code that was there before anything was stolen, one key that came after, and the key file of the newest epoch. */
function accessesOf({ maker, newKey }: Pick<Scene, 'maker' | 'newKey'>): Readonly<Record<string, ReadAccess>> {
  return {
    'old code': { entropy: goldenEntropy },
    'new key': { openSlot: byCustomKey(newKey) },
    'key file': { epochs: maker.epochs },
  };
}

async function open(
  { maker }: { readonly maker: Pick<Scene['maker'], 'records'> },
  forged: readonly MadeRecord[],
  access: ReadAccess,
  choice: ReadChoice = {},
) {
  const opened = [];
  // The order in which records are found says nothing.
  for (const records of [
    [...maker.records, ...forged],
    [...forged, ...maker.records],
  ]) {
    const { head, keyring, forks, problems } = await openArchive(memorySource(records), access, fixedTools, choice);
    const said = problems.map(({ problem }) => problem);
    opened.push({
      head: head.number,
      writer: Math.floor(head.ordinal / 2 ** 32),
      keyring: keyring.number,
      forks,
      said,
    });
  }
  assert.deepEqual(
    { ...opened[1]!, said: opened[0]!.said.toSorted() },
    { ...opened[0]!, said: opened[1]!.said.toSorted() },
  );
  return opened[0]!;
}

/** What an attacker puts beside the rightful records. */
type Attack = (scene: Scene) => readonly MadeRecord[];

const ended = ({ maker, known }: Scene) => ForgedLife.ofEndedWriter(maker, known);
const stranger = ({ maker }: Scene, known: Knowledge, firstCommit = 2) =>
  ForgedLife.ofStranger(maker, known, firstCommit);
const now = ({ maker, known }: Scene): Knowledge => ({ ...known, writers: knowledgeOf(maker).writers });

/** A keyring, and a commit of the same life that names it. */
function withCommit(life: ForgedLife, after: Scene['first'], forged: ReturnType<ForgedLife['keyring']>) {
  return [forged.record, life.commit(after, forged.named)];
}

function withKeyring(life: ForgedLife, { first }: Scene, number: number, previous?: Uint8Array) {
  return withCommit(life, first, life.keyring(number, previous));
}

/** Of an ended writer and of somebody who once opened a ring: none of them is the line, and none hides it. */
const attacks: Readonly<Record<string, Attack>> = {
  'an ended writer’s keyring of a great number': (scene) => withKeyring(ended(scene), scene, 99),
  'the same with a key of its own for the old epoch': (scene) => [ended(scene).swapKey().keyring(99).record],
  'the same without slots, named by a commit of the old epoch': (scene) => {
    const life = ended(scene);
    life.slots = [];
    return withCommit(life, scene.first, life.keyring(99));
  },
  'an ended writer’s keyring behind the newest one': (scene) => withKeyring(ended(scene), scene, 3, scene.two),
  'the same as of the newest epoch, without slots': (scene) => {
    const life = ended(scene);
    life.slots = [];
    return [life.keyring(3, scene.two, { epoch: 1 }).record];
  },
  'an ended writer that goes on where it ended': (scene) => {
    const life = ended(scene);
    const second = life.keyring(2, scene.one);
    const third = life.beginEpoch().keyring(3, second.named.sha256);
    return [second.record, ...withCommit(life, scene.first, third)];
  },
  'another beginning by the first writer': (scene) => {
    const life = ended(scene);
    const first = life.keyring(1);
    return [first.record, ...withCommit(life, scene.first, life.beginEpoch().keyring(2, first.named.sha256))];
  },
  'a stranger behind the newest keyring, with the old ring': (scene) => {
    const life = stranger(scene, now(scene), 4);
    return withCommit(life, newestOf(scene.maker.commits), life.keyring(3, scene.two));
  },
  'the same, as of the newest epoch, with a key of its own': (scene) => {
    const life = stranger(scene, now(scene), 4).beginEpoch();
    const third = life.keyring(3, scene.two);
    // A second one, without slots, that only the key of the first one's ring speaks for.
    life.slots = [];
    const other = life.keyring(3, scene.two);
    return [third.record, ...withCommit(life, newestOf(scene.maker.commits), other)];
  },
  'the same, as of the newest epoch, which is not in its ring': (scene) => {
    const life = stranger(scene, now(scene), 4);
    return [life.keyring(3, scene.two, { epoch: 1 }).record];
  },
  'a stranger behind the newest keyring, by a key that only his other life has': (scene) => {
    const other = stranger(scene, scene.known).beginEpoch();
    const life = stranger(scene, { ...now(scene), epochs: other.epochs, slots: [] }, 4);
    return [
      other.keyring(2, scene.one).record,
      ...withCommit(life, newestOf(scene.maker.commits), life.keyring(3, scene.two)),
    ];
  },
  'a stranger behind a gap, with the old ring': (scene) => {
    const life = stranger(scene, now(scene), 4);
    return withCommit(life, newestOf(scene.maker.commits), life.keyring(99));
  },
};

for (const [name, attack] of Object.entries(attacks))
  test(`${name} hides nothing that an introduced writer wrote, and is said`, async () => {
    const scene = await introduced();
    const forged = attack(scene);
    for (const [by, access] of Object.entries(accessesOf(scene))) {
      const genuine = await open(scene, [], access);
      assert.deepEqual([genuine.head, genuine.writer, genuine.keyring, genuine.said], [3, 1, 2, []], by);
      const { head, writer, keyring, said } = await open(scene, forged, access);
      assert.deepEqual([head, writer, keyring], [3, 1, 2], by);
      assert.ok(said.length > 0, by);
    }
  });

/** A successor by code can be told from what hangs behind its own keyring, or on nothing, and from no other life. */
const untold = /where it ended|another beginning|great number|named by a commit|other life/;
const tellable = Object.entries(attacks).filter(([name]) => !untold.test(name));

for (const [name, attack] of tellable)
  test(`${name} hides nothing that a writer by recovery code wrote, and is said`, async () => {
    const scene = await byCode();
    const forged = attack(scene).filter(({ kind }) => kind === 'keyring');
    for (const [by, access] of Object.entries(accessesOf(scene))) {
      const genuine = await open(scene, [], access);
      assert.deepEqual([genuine.head, genuine.writer, genuine.keyring, genuine.said.length], [3, 1, 2, 1], by);
      const { head, writer, keyring, said } = await open(scene, forged, access);
      assert.deepEqual([head, writer, keyring], [3, 1, 2], by);
      assert.ok(said.length > 1, by);
    }
  });

/** Lives of one point between which the archive does not decide. */
const forks: Readonly<Record<string, readonly [make: () => Promise<Scene>, attack: Attack]>> = {
  'a successor by code and the old device that goes on': [
    byCode,
    attacks['an ended writer that goes on where it ended']!,
  ],
  'a successor by code and a keyring of the old device behind a gap': [
    byCode,
    attacks['an ended writer’s keyring of a great number']!,
  ],
  'a successor by code and a commit of the old device': [
    byCode,
    (scene) => [ended(scene).commit(scene.first, { number: 1, sha256: scene.one })],
  ],
  'a successor by code and another one': [
    byCode,
    (scene) => {
      const life = stranger(scene, scene.known);
      const second = life.keyring(2, scene.one);
      return [second.record, ...withCommit(life, scene.first, life.keyring(3, second.named.sha256))];
    },
  ],
  'two writers that one introduced': [
    introduced,
    (scene) => {
      const life = ended(scene).introduce(2).beginEpoch();
      const second = life.keyring(2, scene.one);
      return [second.record, ...withCommit(life, scene.first, life.keyring(3, second.named.sha256))];
    },
  ],
};

for (const [name, [make, attack]] of Object.entries(forks))
  test(`${name} are a fork: each side is said and readable, and what came after it decides`, async () => {
    const scene = await make();
    const forged = attack(scene);
    const accesses = accessesOf(scene);
    const undecided = await open(scene, forged, accesses['old code']!);
    assert.equal(undecided.forks.length, 1);
    assert.equal(undecided.said.filter((problem) => problem.startsWith('behind keyring 1 the archive has')).length, 1);
    const sides = undecided.forks[0]!.sides;
    assert.equal(sides.length, 2);
    const rightful = sides.find(({ sha256 }) => equalBytes(sha256, scene.two))!;
    const other = sides.find((side) => side !== rightful)!;
    for (const [by, access] of Object.entries(accesses)) {
      const told = await open(scene, forged, access, { keyring: rightful.sha256.subarray(0, 8) });
      assert.deepEqual([told.head, told.writer, told.keyring], [3, 1, 2], by);
      assert.ok(told.said.length > 0, by);
    }
    const second = await open(scene, forged, accesses['old code']!, { keyring: other.sha256 });
    assert.deepEqual([second.head, second.keyring], [2, other.number]);
    for (const by of ['new key', 'key file']) {
      const decided = await open(scene, forged, accesses[by]!);
      assert.deepEqual([decided.head, decided.writer, decided.keyring], [3, 1, 2], by);
      assert.ok(decided.said.length > 0, by);
    }
  });

test('a keyring that is asked for and not there, or not alone, opens nothing', async () => {
  const scene = await introduced();
  const access = { entropy: goldenEntropy };
  for (const keyring of [scene.maker.random(32), new Uint8Array()])
    await assert.rejects(open(scene, [], access, { keyring }), { code: 'archive.no_keyring' });
  for (const [keyring, number] of [
    [scene.one, 1],
    [scene.two, 2],
  ] as const)
    assert.equal((await open(scene, [], access, { keyring })).keyring, number);
});

test('a line with a lost keyring is read behind the gap, which is said, and not where its keys say otherwise', async () => {
  const scene = await introduced();
  const { maker } = scene;
  maker.keyring(golden(50));
  scene.scene.directory('volume/last', ownedDirectory);
  await scene.scene.commit({ time: golden(60) });
  const keyrings = maker.records.filter(({ kind }) => kind === 'keyring');
  const records = maker.records.filter((record) => record !== keyrings[1]);
  const life = stranger(scene, now(scene), 4);
  const forged = life.keyring(99);
  for (const [by, access] of Object.entries(accessesOf(scene)))
    for (const more of [[], [forged.record]]) {
      const { head, keyring, said } = await open({ maker: { records } }, more, access);
      assert.deepEqual([head, keyring], [4, 3], by);
      assert.ok(said.includes('the keyring before keyring 3 is not here: that it follows is not proven'), by);
    }
});
