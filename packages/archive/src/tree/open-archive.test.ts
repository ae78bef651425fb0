import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import test from 'node:test';

import type { MadeRecord } from '../testing/archive-maker.ts';
import { newestOf } from '../testing/archive-maker.ts';
import { fixedTools } from '../testing/folder-source.ts';
import { Forger } from '../testing/forge.ts';
import { begin, goldenEntropy } from '../testing/golden-begin.ts';
import { golden, ownedDirectory } from '../testing/golden-rows.ts';
import type { GoldenScene } from '../testing/golden-scene.ts';
import { memorySource } from '../testing/memory-source.ts';
import { openArchive } from './open-archive.ts';
import type { ReadAccess } from './record-source.ts';

/** An archive of two commits of its first writer. */
async function twoCommits(): Promise<GoldenScene> {
  const scene = begin('opened');
  scene.directory('volume', ownedDirectory);
  await scene.commit({ time: golden(0) });
  scene.directory('volume/below', ownedDirectory);
  await scene.commit({ time: golden(10) });
  return scene;
}

function accessesOf({ maker }: GoldenScene): readonly ReadAccess[] {
  return [{ entropy: goldenEntropy }, { epochs: maker.epochs }];
}

async function open(records: readonly MadeRecord[], access: ReadAccess) {
  const { head, keyring, problems } = await openArchive(memorySource(records), access, fixedTools);
  return { head: head.number, keyring: keyring.number, problems: problems.map(({ problem }) => problem) };
}

test('an archive whose writers all came in with a signature opens without a problem', async () => {
  const scene = await twoCommits();
  scene.maker.addWriter('state_lost', 3, true);
  scene.maker.keyring(golden(20));
  await scene.commit({ time: golden(30) });
  for (const access of accessesOf(scene)) {
    assert.deepEqual(await open(scene.maker.records, access), { head: 3, keyring: 2, problems: [] });
  }
});

test('a keyring that only lists its own signer brings no writer in, whatever commits it is there for', async () => {
  for (const [firstCommit, isWithNoise] of [
    [1, false],
    [3, true],
    [1, true],
  ] as const) {
    const scene = await twoCommits();
    const { maker } = scene;
    const forger = new Forger(maker);
    const keyring = forger.keyring(99, firstCommit);
    const named = { number: 99, sha256: hash('sha256', keyring.bytes, 'buffer') };
    const noise = isWithNoise ? [forger.commit(newestOf(maker.commits), named, false)] : [];
    for (const access of accessesOf(scene)) {
      const { head, keyring: number, problems } = await open([...maker.records, keyring, ...noise], access);
      assert.deepEqual([head, number], [2, 1]);
      assert.equal(problems[0], 'keyring 99 is not of the line that counts: its writers do not count');
    }
  }
});

test('a writer brought in by who has the keys alone is named as not introduced, and so is a missing keyring', async () => {
  const scene = await twoCommits();
  const { maker } = scene;
  const forger = new Forger(maker);
  const keyring = forger.keyring(99, 3);
  const named = { number: 99, sha256: hash('sha256', keyring.bytes, 'buffer') };
  const records = [...maker.records, keyring, forger.commit(newestOf(maker.commits), named)];
  const opened = await open(records, { epochs: maker.epochs });
  assert.deepEqual(opened, {
    head: 3,
    keyring: 99,
    problems: [
      'the keyring before keyring 99 is not here: that it follows is not proven',
      'writer 1 (recovery_code) was not introduced by the writer before it: that it may write is not proven',
    ],
  });
});

test('a writer that came in by a recovery code is named too: nothing in the archive tells it from a forger', async () => {
  const scene = await twoCommits();
  scene.maker.addWriter('recovery_code', 3, false);
  scene.maker.keyring(golden(20));
  await scene.commit({ time: golden(30) });
  for (const access of accessesOf(scene)) {
    const { head, problems } = await open(scene.maker.records, access);
    assert.deepEqual(problems, [
      'writer 1 (recovery_code) was not introduced by the writer before it: that it may write is not proven',
    ]);
    assert.equal(head, 3);
  }
});

test('a key file without a commit that names a keyring of its takes no writer for proven', async () => {
  const scene = await twoCommits();
  const { maker } = scene;
  const forger = new Forger(maker);
  const withoutKeyring = maker.records.filter(({ kind }) => kind !== 'keyring');
  await assert.rejects(open([...withoutKeyring, forger.keyring(99, 1)], { epochs: maker.epochs }), {
    code: 'archive.no_keyring',
  });
});

test('a head that does not open gives way to the commit before it, and that is said', async () => {
  const scene = await twoCommits();
  const { maker } = scene;
  maker.addEpoch(golden(20));
  maker.keyring(golden(21));
  scene.directory('volume/later', ownedDirectory);
  await scene.commit({ time: golden(30) });
  const older = { epochs: maker.epochs.slice(0, 1) };
  assert.deepEqual(await open(maker.records, older), {
    head: 2,
    keyring: 2,
    problems: ['no commit that opens names keyring 2: that its writers count is not proven', 'commit 3 does not open'],
  });
  assert.equal((await open(maker.records, { epochs: maker.epochs })).head, 3);
});
