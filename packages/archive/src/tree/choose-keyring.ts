/**
 * Which keyring's writers count. Anybody can sign a keyring that lists himself, so its signature says nothing: only who
 * holds the keys can seal a commit that names it, or its ring.
 */
import { parseCommitSealed } from '../format/commit.ts';
import { equalBytes, joinBytes } from '../format/cursor.ts';
import { introductionMessage, type Keyring, type Writer } from '../format/keyring.ts';
import { openRecord, type RecordOpeners } from '../format/open.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { RecordKind } from '../format/record.ts';
import { noteProblem } from './note-problem.ts';
import type { ReadProblem, ReadTools, RecordSource } from './record-source.ts';

/** A keyring that is signed by a writer it lists and begins with the header's. */
export type KeyringCandidate = {
  readonly keyring: Keyring;
  readonly sha256: Uint8Array;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly ordinal: Ordinal;
};

/** What choosing asks: records, the keys that are at hand, and where problems go. */
export type KeyringEvidence = {
  readonly source: RecordSource;
  readonly openers: RecordOpeners;
  readonly tools: ReadTools;
  readonly problems: ReadProblem[];
};

/**
 * The keyring whose writers count: the newest that a commit names by its hash, or that the secret opened. Where there is
 * neither, the newest one whose writers each vouch for the next, and that it is not proven is said.
 *
 * What is missing from the proof of the one that was chosen goes into the problems.
 */
export async function chooseKeyring(
  candidates: readonly KeyringCandidate[],
  opened: KeyringCandidate | undefined,
  evidence: KeyringEvidence,
): Promise<KeyringCandidate | undefined> {
  const named = isOnlyNewest(candidates, opened) ? undefined : await newestNamed(candidates, evidence);
  // Of two with one number the one that a commit names counts.
  const proven = opened && opened.keyring.number > (named?.keyring.number ?? 0) ? opened : named;
  const chosen = proven ?? (await newestVouchedFor(candidates, evidence));
  if (chosen !== undefined) await noteGaps(chosen, candidates, evidence);
  return chosen;
}

async function newestVouchedFor(
  candidates: readonly KeyringCandidate[],
  { problems, openers, tools }: KeyringEvidence,
): Promise<KeyringCandidate | undefined> {
  for (const candidate of candidates) {
    const { keyring } = candidate;
    if (!(await isVouchedFor(keyring, openers.archiveId, tools))) continue;
    noteProblem(problems, { problem: `no commit names keyring ${keyring.number}: its writers are not proven` });
    return candidate;
  }
  return undefined;
}

async function noteGaps(
  chosen: KeyringCandidate,
  candidates: readonly KeyringCandidate[],
  { problems, openers, tools }: KeyringEvidence,
): Promise<void> {
  const newest = candidates[0]?.keyring.number ?? 0;
  if (newest > chosen.keyring.number) {
    noteProblem(problems, { problem: `no commit that opens names keyring ${newest}: its writers do not count` });
  }
  notePredecessors(chosen, candidates, problems);
  for (const { number, origin } of await strangersIn(chosen.keyring, openers.archiveId, tools)) {
    const problem = `writer ${number} (${origin}) was not introduced by the writer before it: that it may write is not proven`;
    noteProblem(problems, { problem });
  }
}

function isOnlyNewest(candidates: readonly KeyringCandidate[], opened: KeyringCandidate | undefined): boolean {
  const [newest, second] = candidates;
  return newest === opened && second?.keyring.number !== newest?.keyring.number;
}

/** Looks from the greatest ordinal down, where the newest is most likely named. */
async function newestNamed(
  candidates: readonly KeyringCandidate[],
  evidence: KeyringEvidence,
): Promise<KeyringCandidate | undefined> {
  const byHash = new Map(candidates.map((candidate) => [candidate.sha256.toHex(), candidate]));
  const ordinals = new Set<Ordinal>();
  if (candidates.length > 0)
    for await (const ordinal of evidence.source.ordinalsOf(RecordKind.commit)) ordinals.add(ordinal);
  let best: KeyringCandidate | undefined;
  for (const ordinal of [...ordinals].sort((a, b) => b - a)) {
    const named = byHash.get((await keyringNamedBy(ordinal, evidence)) ?? '');
    if (named && named.keyring.number > (best?.keyring.number ?? 0)) best = named;
    if (best?.keyring.number === candidates[0]?.keyring.number) break;
  }
  return best;
}

/** SHA-256 in hex; undefined where the commit does not open. */
async function keyringNamedBy(ordinal: Ordinal, evidence: KeyringEvidence): Promise<string | undefined> {
  const bytes = await evidence.source.read(ordinal);
  if (bytes === undefined) return undefined;
  try {
    const { raw } = await openRecord(bytes, evidence.openers, evidence.tools);
    return parseCommitSealed(raw).keyring.sha256.toHex();
  } catch {
    // Damaged, of another epoch, or noise: it speaks for no keyring, and is reported where commits are read.
    return undefined;
  }
}

/** Keyrings are never let go: each but the first must follow one that is here. */
function notePredecessors(
  chosen: KeyringCandidate,
  candidates: readonly KeyringCandidate[],
  problems: ReadProblem[],
): void {
  const byHash = new Map(candidates.map((candidate) => [candidate.sha256.toHex(), candidate]));
  for (let at = chosen; at.keyring.number > 1;) {
    const before = byHash.get(at.keyring.previous.toHex());
    if (before?.keyring.number !== at.keyring.number - 1) {
      const problem = `the keyring before keyring ${at.keyring.number} is not here: that it follows is not proven`;
      noteProblem(problems, { problem });
      return;
    }
    at = before;
  }
}

/** Whether every writer but the first was introduced by the one before: then they vouch for each other. */
export async function isVouchedFor(keyring: Keyring, archiveId: Uint8Array, tools: ReadTools): Promise<boolean> {
  return (await strangersIn(keyring, archiveId, tools)).length === 0;
}

/** The writers, but for the first, that the one before did not sign for. */
async function strangersIn(keyring: Keyring, archiveId: Uint8Array, tools: ReadTools): Promise<Writer[]> {
  const strangers: Writer[] = [];
  for (const [index, writer] of keyring.writers.entries()) {
    const before = keyring.writers[index - 1];
    if (before && !(await isIntroduced(writer, { before, archiveId, tools }))) strangers.push(writer);
  }
  return strangers;
}

async function isIntroduced(
  writer: Writer,
  by: { readonly before: Writer; readonly archiveId: Uint8Array; readonly tools: ReadTools },
): Promise<boolean> {
  const { introduction } = writer;
  if (introduction === undefined) return false;
  const message = introductionMessage(by.archiveId, writer);
  return by.tools.verify(joinBytes(by.before.publicKey), message, joinBytes(introduction));
}

/** Two keyrings of one number are evidence of an attack or a defect. @param candidates by falling number */
export function noteTwins(candidates: readonly KeyringCandidate[], problems: ReadProblem[]): void {
  for (const [index, { keyring, sha256, ordinal }] of candidates.entries()) {
    const before = candidates[index - 1];
    const isTwin = before?.keyring.number === keyring.number && !equalBytes(before.sha256, sha256);
    if (isTwin) noteProblem(problems, { problem: `there are two keyrings of number ${keyring.number}`, ordinal });
  }
}
