import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { CodedError, defineErrors } from '@holdfast/base';
import {
  compareHeads,
  openCheckpoint,
  openHeadFile,
  parseVerifierKey,
  rootAt,
  type Checkpoint,
  type HeadFile,
} from '@holdfast/trust';
import { absolutePath } from '../agent-socket.ts';
import { timeText } from '../figures.ts';

/** What comparing heads may find. */
const headCheckErrors = defineErrors('head_check', {
  too_few: ['invalid', 'One head alone cannot be compared'],
  not_read: ['not_found', 'The head file cannot be read'],
  other_log: ['conflict', 'The heads are of different logs, or signed by different keys'],
  longer: ['unavailable', 'A note is of a longer log than all head files: its leaves are not known'],
  forked: ['corrupt', 'The log forked: both heads are signed by its key, and no log has both'],
});

/** Heads over some millions of leaves are below it. */
const MOST_BYTES = 256 * 1024 * 1024;

/** A signed head alone, as a witness has it: without the hashes of its leaves. */
type Note = { readonly file: string; readonly note: string };
type Opened = { readonly file: string; readonly opened: HeadFile & { readonly head: Checkpoint } };

/**
 * Compares head files of several computers, and signed heads as witnesses have them, with the lines of whoever cosigned
 * them: a value for programs and a text for people where all are of one log.
 *
 * @throws head_check.*, and what opening a head file throws, with the file
 */
export async function checkHeads(files: readonly string[]): Promise<[object, string]> {
  if (files.length < 2)
    throw headCheckErrors.too_few({ files, remedy: 'name the head files of two computers or more of the tenant' });
  const opened = files.map(openFile);
  const notes = opened.filter((one) => 'note' in one);
  const heads = opened
    .filter((one) => 'opened' in one)
    .toSorted((a, b) => a.opened.head.treeSize - b.opened.head.treeSize);
  const longest = heads.at(-1);
  if (!longest) throw headCheckErrors.too_few({ files, remedy: noHeadFile });
  // Each against the longest: two that it begins with begin with one another.
  for (const one of heads.slice(0, -1)) expectOneLog(one, longest);
  const ofNotes = notes.map((note) => ({ file: note.file, treeSize: expectOfLog(note, longest) }));
  const { origin, verifier } = longest.opened;
  const keySha256 = createHash('sha256').update(verifier).digest('hex');
  const value = {
    verdict: 'one_log',
    origin,
    keySha256,
    heads: heads.map(({ file, opened }) => ({
      file,
      treeSize: opened.head.treeSize,
      verifiedAt: opened.verifiedAt,
    })),
    notes: ofNotes,
  };
  const lines = heads.map(
    ({ file, opened }) => `${opened.head.treeSize} leaves, checked ${timeText(opened.verifiedAt)}  ${file}`,
  );
  lines.push(...ofNotes.map(({ file, treeSize }) => `${treeSize} leaves, a signed head alone  ${file}`));
  const key = `the key that signed them: SHA-256 ${keySha256}, as in the enrolment tokens of the tenant (logKeySha256)`;
  return [value, [...lines, verdictText(heads), key].join('\n')];
}

/** A head says nothing of leaves that came after it. */
function verdictText(heads: readonly Opened[]): string {
  const sizes = heads.map(({ opened }) => opened.head.treeSize);
  const verdict = 'All heads are of one log.';
  if (sizes[0] === sizes.at(-1)) return verdict;
  return `${verdict} Each is compared up to its own size: what came later to a computer with a shorter head was not compared.`;
}

function expectOneLog(one: Opened, other: Opened): void {
  const files = [one.file, other.file];
  const compared = compareHeads(one.opened, other.opened);
  if (compared.verdict === 'other_log') {
    const remedy = 'compare head files of computers of one tenant; where they are, one was given a false log key';
    throw headCheckErrors.other_log({ files, remedy });
  }
  if (compared.verdict === 'forked') {
    throw headCheckErrors.forked({ files, atLeaf: compared.atLeaf, remedy: keepBoth });
  }
}

const noHeadFile = 'name the head file of one computer at least: holdfast key log --write-head FILE';

/** Compares a signed head with the leaves of a head file; its size. Who cosigned it is not asked: who has the file knows. */
function expectOfLog({ file, note }: Note, { file: longestFile, opened }: Opened): number {
  const files = [file, longestFile];
  let head: Checkpoint;
  try {
    head = openCheckpoint(note, opened.origin, [parseVerifierKey(opened.verifier)]);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const remedy = 'name a signed head of the log that the head files are of, as it was written';
    throw headCheckErrors.other_log({ files, remedy }, error);
  }
  if (head.treeSize > opened.head.treeSize) {
    const remedy = 'write the head of a computer that follows the log once more: holdfast key log --write-head FILE';
    throw headCheckErrors.longer({ files, note: head.treeSize, known: opened.head.treeSize, remedy });
  }
  if (Buffer.compare(rootAt(opened.leaves, head.treeSize), head.root) !== 0)
    throw headCheckErrors.forked({ files, treeSize: head.treeSize, remedy: keepBoth });
  return head.treeSize;
}

const keepBoth = 'keep both files: each head is signed, and together they prove it; show them to who runs the server';

function openFile(argument: string): Opened | Note {
  const file = absolutePath(argument);
  try {
    const text = read(file);
    // A head file is JSON; what else has an empty line and a signature is a note.
    if (!text.startsWith('{') && text.includes('\n\n\u2014 ')) return { file, note: text };
    return { file, opened: openHeadFile(text) };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const { code, kind, message, details } = error;
    throw new CodedError({ code, kind, message, details: { file, ...details } }, { cause: error });
  }
}

function read(file: string): string {
  const remedy = 'name a file that holdfast key log --write-head wrote';
  try {
    if (statSync(file).size > MOST_BYTES) throw headCheckErrors.not_read({ problem: 'it is too large', remedy });
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw headCheckErrors.not_read({ problem: (error as Error).message, remedy }, error);
  }
}
