import { defineFields, FieldWriter } from '../format/fields.ts';
import { archiveFiles } from './archive-files.ts';
import { begin, expectOf, type GoldenArchive, putVolume } from './golden-begin.ts';
import { golden, latin1, ownedDirectory, prose, putFile, putFiles } from './golden-rows.ts';
import type { GoldenScene } from './golden-scene.ts';

const platformFields = defineFields('platform attributes', {});

/** Directories deleted, brought back and renamed, files that become directories and back, over three checkpoints and a tree of two levels. */
export async function makeHistory(): Promise<GoldenArchive> {
  const scene = begin('history');
  const { maker } = scene;
  const home = putVolume(scene);
  putBeginning(scene, home);
  await scene.commit({ time: golden(0) });
  scene.remove(`${home}/many`);
  putFile(scene, `${home}/ana/a.txt`, [prose('second', 200)]);
  await scene.commit({ time: golden(15), isCheckpoint: true });
  const sub = scene.remove(`${home}/ana/sub`);
  await scene.commit({ time: golden(30) });
  scene.bringBack(`${home}/ana/sub`, sub);
  putFile(scene, `${home}/ana/sub/new.txt`, [prose('new', 80)]);
  await scene.commit({ time: golden(45), isCheckpoint: true });
  scene.rename(`${home}/ana`, `${home}/anna`);
  await scene.commit({ time: golden(60) });
  scene.remove(`${home}/anna/sub/new.txt`);
  scene.directory(`${home}/anna/sub/new.txt`, ownedDirectory);
  putFile(scene, `${home}/anna/sub/new.txt/inside`, [prose('inside', 70)]);
  scene.rename(`${home}/anna/a.txt`, `${home}/anna/b.txt`);
  await scene.commit({ time: golden(75), isCheckpoint: true });
  scene.remove(`${home}/anna/sub/new.txt`);
  putFile(scene, `${home}/anna/sub/new.txt`, [prose('a file again', 75)]);
  scene.directory('disk-2', { ...ownedDirectory, mountPoint: latin1('/mnt/second disk') });
  putFile(scene, 'disk-2/top', [prose('top', 64)]);
  await scene.commit({ time: golden(90) });
  scene.rename(`${home}/anna/sub`, 'disk-2/moved');
  await scene.commit({ time: golden(105) });
  const middle = Math.ceil(maker.records.length / 2);
  const segments = [
    { records: maker.records.slice(0, middle), end: 'parity' },
    { records: maker.records.slice(middle), end: 'no parity' },
  ] as const;
  const files = archiveFiles(maker.archiveId, maker.records, { segments });
  return { files, keyFile: maker.keyFile(), expected: expectOf(scene) };
}

function putBeginning(scene: GoldenScene, home: string): void {
  scene.directory(`${home}/ana`, ownedDirectory);
  scene.directory(`${home}/ana/sub`, ownedDirectory);
  scene.directory(`${home}/ana/sub/deep`, ownedDirectory);
  putFiles(scene, [
    { path: `${home}/ana/a.txt`, pieces: [prose('first', 150)] },
    { path: `${home}/ana/sub/deep/x.txt`, pieces: [prose('deep', 90)] },
  ]);
  scene.directory(`${home}/many`, ownedDirectory);
  // Few rows that are long, so that the tree has two levels: an attribute of the platform that no version knows yet.
  const platform = new FieldWriter(platformFields, [{ tag: 9, value: prose('platform', 1500) }]).finish();
  for (let i = 0; i < 14; i += 1) {
    const target = latin1(`target ${i}`);
    scene.entry(`${home}/many/link ${String(i).padStart(2, '0')}`, { type: 'symlink', mode: 0o777, target, platform });
  }
}
