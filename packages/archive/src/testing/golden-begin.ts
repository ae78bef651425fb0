import { hash } from 'node:crypto';

import { settingsKey } from '../format/map-key.ts';
import { defineFields, FieldWriter } from '../format/fields.ts';
import { formatOrdinal } from '../format/ordinal.ts';
import type { ArchiveFiles } from './archive-files.ts';
import { ArchiveMaker } from './archive-maker.ts';
import { golden, latin1, ownedDirectory } from './golden-rows.ts';
import { expectTime, GoldenScene } from './golden-scene.ts';

/** The 24 words that open every golden archive. */
export const goldenRecoveryCode =
  'ice crunch diet fatal attract police corn flush original gravity tired raccoon ' +
  'review wine staff cousin service fat fire print broccoli man flash belt';

/** The 32 bytes that those words stand for. */
export const goldenEntropy: Uint8Array = hash('sha256', 'holdfast golden archives', 'buffer');

/** A golden archive: the files of its folder, the text of a key file for it, and what must be read from it. */
export type GoldenArchive = {
  readonly files: ArchiveFiles;
  readonly keyFile: string;
  readonly expected: Readonly<Record<string, unknown>>;
};

const settingFields = defineFields('setting', { 1: 'may', 2: 'may' });
const chunkerFields = defineFields('chunker', { 1: 'must', 2: 'must' });
/** Fields that no version knows yet and that need not be understood. */
export const future = [{ tag: 60, value: latin1('kept for a later version') }];

/** An archive with a header, an epoch and a keyring. */
export function begin(name: string): GoldenScene {
  const maker = new ArchiveMaker(`golden ${name}`, goldenEntropy, name === 'everything' ? future : []);
  maker.addEpoch(golden(-100));
  maker.keyring(golden(-99), name === 'everything' ? future : []);
  return new GoldenScene(maker);
}

/** Puts a volume and `home` in it; the path of that. */
export function putVolume(scene: GoldenScene): string {
  scene.directory('3f1c-root', { ...ownedDirectory, uid: 0, gid: 0, mountPoint: latin1('/') });
  scene.directory('3f1c-root/home', { ...ownedDirectory, uid: 0, mode: 0o1777 });
  return '3f1c-root/home';
}

/** Puts the settings that the format names. */
export function putSettings(scene: GoldenScene): void {
  const chunker = new FieldWriter(chunkerFields).number(1, 1).number(2, 0).finish();
  const set = new FieldWriter(settingFields).text(1, 'Documents').text(2, '{"include":["/home"]}').finish();
  scene.putEntry({ key: settingsKey('chunker'), value: chunker });
  scene.putEntry({ key: settingsKey('set/1'), value: set });
}

/** What every archive's `expected.json` says, but for what is special to it. */
export function expectOf(scene: GoldenScene, rest: Readonly<Record<string, unknown>> = {}): GoldenArchive['expected'] {
  const { maker, instants } = scene;
  const head = maker.commits.at(-1);
  return {
    archiveId: maker.archiveId.toHex(),
    zstd: process.versions.zstd,
    recoveryCode: goldenRecoveryCode,
    head: head && { number: head.number, ordinal: formatOrdinal(head.ordinal), sha256: head.sha256.toHex() },
    keyring: maker.keyringNumber,
    epochs: maker.epochs.map((epoch) => epoch.number),
    writers: maker.writers.map(({ number, firstCommit, origin }) => ({ number, firstCommit, origin })),
    commits: maker.commits.map(({ number, time }) => ({ number, at: expectTime(time) })),
    ...rest,
    instants: instants.map(({ commit, entries }) => ({ commit: commit.number, entries })),
  };
}

/** Keeps only some instants, so that expectations stay short. */
export function only(scene: GoldenScene, ...commits: number[]): void {
  const kept = scene.instants.filter(({ commit }) => commits.includes(commit.number));
  scene.instants.splice(0, scene.instants.length, ...kept);
}
