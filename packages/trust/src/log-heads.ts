import { CodedError, defineErrors } from '@holdfast/base';
import { canonicalJson, parseCanonicalJson, type Json } from './canonical-json.ts';
import { openCheckpoint, type Checkpoint } from './checkpoint.ts';
import { appendLeaf, emptyTree, rootOf, type Hash } from './merkle-log.ts';
import { parseVerifierKey } from './signed-note.ts';

/** Failures of reading the head file of a log. */
export const headFileErrors = defineErrors('head_file', {
  malformed: ['invalid', 'The file is not the head file of a log'],
  unsigned: ['corrupt', 'The head in the file is not signed by the key of the log'],
  unproven: ['corrupt', 'The head in the file is not that of the leaves beside it'],
});

/** The head of a log as somebody saw and checked it, with all that is needed to compare it with any other. */
export type HeadFile = {
  readonly origin: string;
  /** The key of the log, as who wrote the file pinned it. */
  readonly verifier: string;
  /** The signed head. */
  readonly note: string;
  /** When that was checked, by the clock of who wrote the file; RFC 3339. Nothing signs it. */
  readonly verifiedAt: string;
  /** The hashes of all leaves it covers. */
  readonly leaves: readonly Hash[];
};

const VERSION = 1;
const HASH_BYTES = 32;

/** Writes a head file: one line of canonical JSON. */
export function formatHeadFile({ origin, verifier, note, verifiedAt, leaves }: HeadFile): string {
  const hashes = Buffer.concat(leaves).toString('base64');
  return `${canonicalJson({ headFile: VERSION, origin, verifier, note, verifiedAt, leaves: hashes })}\n`;
}

/**
 * Reads a head file and checks it by itself: its head is signed, and is that of its leaves.
 *
 * @throws head_file.malformed, head_file.unsigned, head_file.unproven
 */
export function openHeadFile(text: string): HeadFile & { readonly head: Checkpoint } {
  const file = parseHeadFile(text);
  let head: Checkpoint;
  try {
    head = openCheckpoint(file.note, file.origin, [parseVerifierKey(file.verifier)]);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw headFileErrors.unsigned({}, error);
  }
  const isProved = head.treeSize === file.leaves.length && equal(rootAt(file.leaves, head.treeSize), head.root);
  if (!isProved) throw headFileErrors.unproven({ treeSize: head.treeSize, leaves: file.leaves.length });
  return { ...file, head };
}

function parseHeadFile(text: string): HeadFile {
  let value: Json;
  try {
    value = parseCanonicalJson(text.trimEnd());
  } catch (error) {
    throw headFileErrors.malformed({}, error);
  }
  const members = (value ?? {}) as Readonly<Record<string, Json | undefined>>;
  if (!isWhole(members)) throw headFileErrors.malformed();
  const { origin, verifier, note, verifiedAt, leaves } = members;
  const bytes = Buffer.from(leaves, 'base64');
  if (bytes.length % HASH_BYTES !== 0 || bytes.toString('base64') !== leaves)
    throw headFileErrors.malformed({ field: 'leaves' });
  const hashes = Array.from(
    { length: bytes.length / HASH_BYTES },
    (_, index) => new Uint8Array(bytes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES)),
  );
  return { origin, verifier, note, verifiedAt, leaves: hashes };
}

const textNames = ['leaves', 'note', 'origin', 'verifiedAt', 'verifier'] as const;
type Texts = Readonly<Record<(typeof textNames)[number], string>>;

/** Whether all members are there and no others. */
function isWhole(members: Readonly<Record<string, Json | undefined>>): members is Texts & { headFile: number } {
  return (
    members['headFile'] === VERSION &&
    Object.keys(members).length === textNames.length + 1 &&
    textNames.every((name) => typeof members[name] === 'string') &&
    isInstant(members['verifiedAt'] as string)
  );
}

/** RFC 3339, UTC, milliseconds: one that a calendar has. */
function isInstant(text: string): boolean {
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text;
}

/** What two heads of one name are to each other. */
export type HeadsVerdict =
  /** The one log begins with the other. */
  | { readonly verdict: 'one_log' }
  /** Both are signed, and no log has both: they part at this leaf, counted from 0. */
  | { readonly verdict: 'forked'; readonly atLeaf: number }
  /** They are heads of different logs, or different keys signed them: there is nothing to compare. */
  | { readonly verdict: 'other_log' };

/** Compares two heads that were opened. Whoever has both files can show the fork to anybody: each head is signed. */
export function compareHeads(one: HeadFile, other: HeadFile): HeadsVerdict {
  if (one.origin !== other.origin || one.verifier !== other.verifier) return { verdict: 'other_log' };
  const shared = Math.min(one.leaves.length, other.leaves.length);
  for (let atLeaf = 0; atLeaf < shared; atLeaf++)
    if (!equal(one.leaves[atLeaf]!, other.leaves[atLeaf]!)) return { verdict: 'forked', atLeaf };
  return { verdict: 'one_log' };
}

/** The root over the first leaves of a log. */
export function rootAt(leaves: readonly Hash[], size: number): Hash {
  let state = emptyTree;
  for (const leaf of leaves.slice(0, size)) ({ state } = appendLeaf(state, leaf));
  return rootOf(state);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
