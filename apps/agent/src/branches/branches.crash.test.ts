import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BranchScene, contentsOf } from './branch-scene-testing.ts';

/** So many, and of so long names, that they are taken in by several commits. */
const manyFiles = 3500;
const longName = 'of a long name '.repeat(8).trim();
const text = (name: string) => `${name}, only there`;

test('taking in goes on wherever it was cut off, shows nothing of the branch as the newest, and takes nothing in twice', async (t) => {
  const scene = await BranchScene.start(t);
  const { agent } = scene;
  const names = Array.from({ length: manyFiles }, (_, place) => `many/${place} ${longName}`);
  const there = [
    () => {
      agent.write('shared', 'only there 1');
      for (const name of names) agent.write(name, text(name));
    },
    () => agent.write('shared', 'only there 2'),
  ];
  const meanwhile = () => {
    agent.write('shared', 'meanwhile');
    rmSync(path.join(agent.tree, 'many'), { recursive: true, force: true });
  };
  await scene.part(there, [meanwhile]);
  await scene.backUp();

  let cuts = 0;
  for (let left = 0; ; left++) {
    scene.cut = { left, isAnswerLost: left % 2 === 1 };
    const taken = await agent.ask('branch.take-in', { branch: 1 }).catch((error: unknown) => error as Error);
    scene.cut = undefined;
    // As a process finds it that starts after one that was killed.
    await agent.stop();
    await agent.start();
    await agent.ask('backup');
    const now = (await agent.items('ls', { path: agent.tree })).map((item) => path.basename(String(item['path'])));
    assert.deepEqual(now, ['both have', 'shared'], `after the cut behind ${left} fragments`);
    const to = path.join(agent.folder, `now ${left}`);
    await agent.ask('restore', { paths: [path.join(agent.tree, 'shared')], to });
    assert.equal(readFileSync(path.join(to, 'shared'), 'utf8'), 'meanwhile');
    if (!(taken instanceof Error)) {
      assert.ok(Number(taken['knownVersions']) > 1000, 'most came in by a commit before the last cut');
      break;
    }
    cuts++;
  }
  assert.ok(cuts >= 3, `it was cut off ${cuts} times`);
  const [branch] = (await agent.ask('branch.list'))['branches'] as Readonly<Record<string, unknown>>[];
  assert.equal(branch?.['state'], 'taken_in');
  assert.deepEqual(
    (await contentsOf(scene, 'shared')).filter((each) => each.startsWith('only')),
    ['only there 1', 'only there 2'],
  );
  for (const name of [names[0]!, names[1750]!, names[manyFiles - 1]!])
    assert.deepEqual(await contentsOf(scene, name), [text(name)]);
  const listed = await agent.items('ls', { path: path.join(agent.tree, 'many'), deleted: true });
  assert.equal(listed.length, manyFiles, 'all that was taken into a folder that is no more is there together');
  const last = path.join(agent.tree, names.toSorted().at(-1) ?? '');
  const [cameIn] = (await agent.ask('versions', { path: last }))['versions'] as { readonly from: string }[];
  const then = await agent.items('ls', { path: path.join(agent.tree, 'many'), at: cameIn!.from });
  assert.equal(
    then.length,
    manyFiles,
    'and is one folder at the time when the last of it came in, by whichever commit',
  );
  const verified = await agent.ask('verify', { full: true });
  for (const found of verified['destinations'] as Readonly<Record<string, unknown>>[]) {
    assert.deepEqual([found['isCurrent'], found['damagedCount']], [true, 0]);
  }
});
