import { formatOrdinal } from '../format/ordinal.ts';
import { archiveFiles } from './archive-files.ts';
import { type MadeCommit, type MadeRecord, newestOf } from './archive-maker.ts';
import { begin, expectOf, type GoldenArchive, putVolume } from './golden-begin.ts';
import { liveRanges } from './golden-live.ts';
import { golden, ownedDirectory, prose, putFile } from './golden-rows.ts';
import type { GoldenScene } from './golden-scene.ts';

/** Four writers that came in four ways, four keyrings, three epochs, a branch, ordinals given out in vain, and live sets. */
export async function makeWriters(): Promise<GoldenArchive> {
  const scene = begin('writers');
  const { maker } = scene;
  const home = putVolume(scene);
  putFile(scene, `${home}/first writer`, [prose('writer 0', 100)]);
  await scene.commit({ time: golden(0) });
  const replaced = await putReplaced(scene, home);
  const branch = await putBranch(scene, home);
  maker.addEpoch(golden(50));
  maker.addWriter('state_lost', 4, true);
  maker.keyring(golden(51));
  putFile(scene, `${home}/second writer`, [prose('writer 1', 110)], { kind: 'block' });
  maker.skipOrdinal();
  const fourth = await scene.commit({ time: golden(60) });
  maker.live(fourth, [liveRanges(maker, [])]);
  maker.addWriter('device_signed', 5, true);
  maker.keyring(golden(70));
  putFile(scene, `${home}/third writer`, [prose('writer 2', 120)]);
  const fifth = await scene.commit({ time: golden(80), isCheckpoint: true });
  const [zero, ...rest] = liveRanges(maker, replaced);
  maker.live(fifth, [[zero!], rest]);
  maker.addEpoch(golden(85));
  maker.addWriter('administrator', 6, false);
  maker.keyring(golden(86));
  scene.directory(`${home}/fourth writer`, ownedDirectory);
  const sixth = await scene.commit({ time: golden(90) });
  maker.live(sixth, [[], liveRanges(maker, maker.records)]);
  return finish(scene, { branch, gone: replaced });
}

/** A file in three versions of its own records, of which two will be let go with their tree. */
async function putReplaced(scene: GoldenScene, home: string): Promise<MadeRecord[]> {
  const { maker } = scene;
  const from = maker.records.length;
  for (let version = 0; version < 3; version += 1) {
    putFile(scene, `${home}/rewritten`, [prose(`version ${version}`, 90)], { kind: 'block' });
    if (version === 0) putFile(scene, `${home}/beside`, [prose('beside', 90)]);
  }
  const blocks = maker.records.slice(from).filter(({ kind }) => kind === 'block');
  await scene.commit({ time: golden(20), isCheckpoint: true });
  await scene.commit({ time: golden(40) });
  return blocks.slice(0, 2);
}

/** A commit of the first writer that the next one never saw. */
async function putBranch(scene: GoldenScene, home: string): Promise<MadeCommit> {
  const after = newestOf(scene.maker.commits);
  const kept = [...scene.instants];
  putFile(scene, `${home}/only here`, [prose('branch', 130)]);
  const branch = await scene.commit({ time: golden(45), writer: 0, after });
  scene.remove(`${home}/only here`);
  scene.dropPuts();
  scene.instants.splice(0, scene.instants.length, ...kept);
  return branch;
}

function finish(scene: GoldenScene, facts: { branch: MadeCommit; gone: readonly MadeRecord[] }): GoldenArchive {
  const { maker } = scene;
  const { branch, gone } = facts;
  // The second part of the newest live set never arrived: the set before it counts.
  const records = maker.records.slice(0, -1).filter((record) => !gone.includes(record));
  const middle = Math.ceil(records.length / 2);
  const segments = [
    { records: records.slice(0, middle), end: 'parity' },
    // A compaction left some records twice.
    { records: [...records.slice(middle - 5, middle), ...records.slice(middle)], end: 'no parity' },
  ] as const;
  const files = archiveFiles(maker.archiveId, maker.records, { segments });
  const expected = {
    branches: [{ number: branch.number, ordinal: formatOrdinal(branch.ordinal), sha256: branch.sha256.toHex() }],
    liveSet: 2,
    unintroduced: [{ number: 3, origin: 'administrator' }],
    notNeeded: gone.map(({ ordinal }) => formatOrdinal(ordinal)),
  };
  return { files, keyFile: maker.keyFile(), expected: expectOf(scene, expected) };
}
