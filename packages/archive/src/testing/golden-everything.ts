import { archiveFiles } from './archive-files.ts';
import { newestOf } from './archive-maker.ts';
import { begin, expectOf, future, type GoldenArchive, only, putSettings, putVolume } from './golden-begin.ts';
import { golden, owned, ownedDirectory, prose, putEveryType, putFile, putFiles } from './golden-rows.ts';
import { expectTime } from './golden-scene.ts';

/** One writer: every type of row and every field, a checkpoint and commits behind it, a corrected time, an open segment with a torn record. */
export async function makeEverything(): Promise<GoldenArchive> {
  const scene = begin('everything');
  const { maker } = scene;
  const home = putVolume(scene);
  putSettings(scene);
  await scene.commit({ time: golden(0) });
  scene.directory(`${home}/ana`, ownedDirectory, []);
  putEveryType(scene, `${home}/ana`);
  await scene.commit({ time: golden(60, 999_999_999), keyLogHead: 'example log\n12\nabc=\n', unknown: future });
  const linked = (text: string) =>
    putFiles(
      scene,
      ['one', 'two'].map((name) => ({ path: `${home}/ana/${name}`, pieces: [prose(text, 60)], row: { linkGroup: 1 } })),
    );
  linked('linked');
  await scene.commit({ time: golden(120) });
  linked('linked, changed');
  scene.remove(`${home}/ana/empty`, 'unselected');
  await scene.commit({ time: golden(315_360_000), isCheckpoint: true });
  putFile(scene, `${home}/ana/random`, [maker.random(3000), prose('tail', 30)], { kind: 'block' });
  const corrections = [{ commit: 4, time: golden(180) }];
  await scene.commit({ time: golden(240), corrections });
  scene.entry(`${home}/ana/pipe`, { ...owned, type: 'file' });
  const last = await scene.commit({ time: golden(300) });
  const split = maker.records.findIndex(({ kind }) => kind === 'tree');
  const torn = newestOf(maker.records).bytes.subarray(0, 100);
  const segments = [
    { records: maker.records.slice(0, split), end: 'parity' },
    { records: maker.records.slice(split), end: 'open', torn },
  ] as const;
  only(scene, 1, 6);
  const times = maker.commits.map(({ number, time }) => ({
    number,
    at: expectTime(number === 4 ? golden(180) : time),
  }));
  const at = [
    { at: expectTime(golden(-1)), commit: null },
    { at: expectTime(golden(179)), commit: 3 },
    { at: expectTime(golden(180)), commit: 4 },
    { at: expectTime(golden(9999)), commit: last.number },
  ];
  const files = archiveFiles(maker.archiveId, maker.records, { segments });
  return { files, keyFile: maker.keyFile(), expected: expectOf(scene, { commits: times, at }) };
}
