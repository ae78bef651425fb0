import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { lstat, readFile, writeFile } from 'node:fs/promises';
import { test, type TestContext } from 'node:test';
import type { CodedError } from '@holdfast/base';
import { emptyAttributes, isUnchanged, statAt } from './attributes.ts';
import { removeEntry } from './change-entries.ts';
import { nameBytes } from './file-name.ts';
import { closeDescriptor, createFile, type Descriptor, openRecorded, withDescriptor } from './open-relative.ts';
import { openTemporaryFolder, temporaryFolder } from './temporary-folder.ts';

const tries = process.env.HOLDFAST_TEST_FULL === '1' ? 200_000 : 20_000;
/** By path the race is lost by chance: go on until it was, so that a slow machine cannot make the test prove nothing. */
const mostTriesByPath = 100_000;
const secret = 'what the attacker may not read';
const box = nameBytes('box');
const note = nameBytes('note');

type Scene = {
  readonly root: Descriptor;
  readonly path: string;
  readonly outside: string;
};

/**
 * A folder with `box`, which holds a note, and a link to a folder outside, which holds a secret of the same name; another
 * process swaps the two.
 */
async function swappedScene(t: TestContext): Promise<Scene> {
  let stopSwapping: () => Promise<void> = () => Promise.resolve();
  // Registered first: the folders go only when nobody swaps in them.
  t.after(() => stopSwapping());
  const outside = temporaryFolder(t);
  writeFileSync(`${outside}/note`, secret);
  const { path, fd: root } = openTemporaryFolder(t);
  mkdirSync(`${path}/box`);
  writeFileSync(`${path}/box/note`, 'mine');
  symlinkSync(outside, `${path}/trap`);
  const script = new URL('swap-entries.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [decodeURIComponent(script), path, 'box', 'trap'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  stopSwapping = async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
  };
  await once(child.stdout, 'data');
  return { root, path, outside };
}

/** The reasons for which a swap makes a step fail; anything else is a defect. */
const swapped: readonly unknown[] = [
  'files.not_directory',
  'files.loop',
  'files.not_found',
  'ENOENT',
  'ENOTDIR',
  'EEXIST',
];

function unlessSwapped(error: unknown): undefined {
  if (swapped.includes((error as CodedError | NodeJS.ErrnoException).code)) return undefined;
  throw error;
}

function guarded<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    return unlessSwapped(error);
  }
}

const recordedBox = emptyAttributes();
const recordedNote = emptyAttributes();
const opened = emptyAttributes();
const content = new Uint8Array(256);

function openBox(root: Descriptor): Descriptor | undefined {
  const recorded = statAt(root, box, recordedBox);
  return recorded?.type === 'directory' ? openRecorded(root, box, recorded) : undefined;
}

function readByDescriptor({ root }: Scene): string | undefined {
  const boxFd = openBox(root);
  if (boxFd === undefined) return undefined;
  return withDescriptor(boxFd, () => {
    const recorded = statAt(boxFd, note, recordedNote);
    assert.ok(recorded);
    const fd = openRecorded(boxFd, note, recorded, opened);
    if (fd === undefined) return undefined;
    return withDescriptor(fd, () => {
      assert.ok(isUnchanged(recorded, opened));
      return Buffer.from(content.subarray(0, readSync(fd, content, 0, content.length, 0))).toString();
    });
  });
}

async function readByPath({ path }: Scene): Promise<boolean> {
  if (!(await lstat(`${path}/box`)).isDirectory() || !(await lstat(`${path}/box/note`)).isFile()) return false;
  return (await readFile(`${path}/box/note`, 'utf8')) === secret;
}

/** Counts the leaks of one try by path after every ten by descriptor, and then of more until there was one. */
async function countLeaks(byDescriptor: (i: number) => void, byPath: (i: number) => Promise<boolean>): Promise<string> {
  let leaks = 0;
  let triesByPath = 0;
  for (let i = 0; i < tries || (leaks === 0 && i < tries + mostTriesByPath); i++) {
    if (i < tries) byDescriptor(i);
    if (i < tries && i % 10 !== 0) continue;
    triesByPath++;
    if (await byPath(i).catch(unlessSwapped)) leaks++;
  }
  assert.ok(leaks > 0, `no leak by path in ${triesByPath} tries: this run proves nothing`);
  return `by path ${leaks} leaks in ${triesByPath} tries`;
}

test(`reading by descriptor leaks nothing in ${tries} tries while the folder is swapped for a link, reading by path leaks`, async (t) => {
  const scene = await swappedScene(t);
  const answers = new Map<string, number>();
  const byPath = await countLeaks(
    () => {
      const answer = guarded(() => readByDescriptor(scene)) ?? 'nothing';
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
    },
    () => readByPath(scene),
  );
  t.diagnostic(`by descriptor ${JSON.stringify(Object.fromEntries(answers))}; ${byPath}`);
  assert.deepEqual([...answers.keys()].toSorted(), ['mine', 'nothing']);
});

/** True where the file landed outside; undefined where nothing was written. */
function writeByDescriptor({ root, outside }: Scene, name: string): boolean | undefined {
  const boxFd = openBox(root);
  if (boxFd === undefined) return undefined;
  return withDescriptor(boxFd, () => {
    const fd = createFile(boxFd, nameBytes(name), 0o600);
    writeSync(fd, 'restored');
    closeDescriptor(fd);
    const escaped = existsSync(`${outside}/${name}`);
    removeEntry(boxFd, nameBytes(name));
    return escaped;
  });
}

/** As careless code does: look, then write. True where it landed outside. */
async function writeByPath({ path, outside }: Scene, name: string): Promise<boolean> {
  if (!(await lstat(`${path}/box`)).isDirectory()) return false;
  await writeFile(`${path}/box/${name}`, 'restored', { flag: 'wx' });
  const escaped = existsSync(`${outside}/${name}`);
  if (escaped) unlinkSync(`${outside}/${name}`);
  return escaped;
}

test(`writing by descriptor never lands outside in ${tries} tries while the folder is swapped for a link, writing by path does`, async (t) => {
  const scene = await swappedScene(t);
  const landed = { inside: 0, outside: 0 };
  const byPath = await countLeaks(
    (i) => {
      const escaped = guarded(() => writeByDescriptor(scene, `by descriptor ${i}`));
      if (escaped !== undefined) landed[escaped ? 'outside' : 'inside']++;
    },
    (i) => writeByPath(scene, `by path ${i}`),
  );
  t.diagnostic(`by descriptor ${JSON.stringify(landed)} in ${tries} tries; ${byPath}`);
  assert.ok(landed.inside > 0);
  assert.equal(landed.outside, 0);
  assert.deepEqual(readdirSync(scene.outside), ['note']);
});
