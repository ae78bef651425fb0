import { archiveErrors } from '../errors.ts';
import { equalBytes, joinBytes } from '../format/cursor.ts';
import { type ArchiveHeader, parseHeader } from '../format/header.ts';
import type { Keyring } from '../format/keyring.ts';
import { isRecordSigned, type RecordOpeners, sha256Of } from '../format/open.ts';
import { RecordKind, splitRecord } from '../format/record.ts';
import { openRecoverySlot } from '../format/slot.ts';
import { type KeyringFork, LineChooser } from './choose-keyring.ts';
import { openersOf } from './epoch-keys.ts';
import { gatherKeyrings } from './gather-keyrings.ts';
import { growTree, type KeyringCandidate, standAlone } from './keyring-tree.ts';
import { noteProblem } from './note-problem.ts';
import { noteProof, noteTwins } from './note-proof.ts';
import { type OpenedRings, openRings, type RingOpening } from './open-ring.ts';
import type { OpenSlot, ReadAccess, ReadChoice, ReadProblem, ReadTools, RecordSource } from './record-source.ts';
import { hasCommitFrom, spokenForByCommits } from './spoken-for.ts';
import { WriterLists } from './writer-lists.ts';

/** The header of an archive and the id that follows from it. */
export type FoundHeader = { readonly archiveId: Uint8Array<ArrayBuffer>; readonly header: ArchiveHeader };

/** The keyring whose writers count, and the keys that are at hand. */
export type FoundKeyring = {
  readonly keyring: Keyring;
  readonly sha256: Uint8Array;
  /** SHA-256 of each keyring of its line, the oldest first and itself last. */
  readonly line: readonly Uint8Array[];
  readonly openers: RecordOpeners;
  /** Where several lives of the archive part, on the line that was chosen. */
  readonly forks: readonly KeyringFork[];
};

/** Finds the header record. @throws archive.no_archive; archive.unknown_format when the only one is of another format. */
export async function findHeader(
  source: RecordSource,
  tools: ReadTools,
  problems: ReadProblem[],
): Promise<FoundHeader> {
  let refusal: unknown;
  for await (const ordinal of source.ordinalsOf(RecordKind.header)) {
    const bytes = await source.read(ordinal);
    if (bytes === undefined || ordinal !== 0) continue;
    try {
      const header = parseHeader(splitRecord(bytes).open);
      const archiveId = (await sha256Of(bytes)).subarray(0, 16);
      const key = joinBytes(header.writerKey);
      if (await isRecordSigned(bytes, archiveId, async (message, mark) => tools.verify(key, message, mark))) {
        return { archiveId, header };
      }
      noteProblem(problems, { problem: 'a header is not signed by its writer', ordinal });
    } catch (error) {
      refusal = error;
    }
  }
  throw refusal ?? archiveErrors.no_archive();
}

/**
 * Finds the keys that the secret leads to, and the keyring whose writers count: the last of the line that is chosen.
 *
 * What is missing from the proof of that line goes into the problems.
 * @throws archive.no_keyring
 */
export async function findKeyring(
  source: RecordSource,
  found: FoundHeader,
  reading: KeyringReading,
): Promise<FoundKeyring> {
  const { access, tools, problems, choice = {} } = reading;
  const { archiveId } = found;
  const lists = new WriterLists(archiveId, tools);
  const candidates = await gatherKeyrings(source, found, { tools, problems, lists });
  noteTwins(candidates, problems);
  const keyFile = 'epochs' in access ? access.epochs : undefined;
  const rings = await ringsBySecret(candidates, access, { archiveId, tools, problems, lists });
  const tree = await growTree(candidates, { lists, rings, problems });
  const evidence = { archiveId, source, tools };
  const chooser = new LineChooser(tree, {
    spoken: await spokenForByCommits(tree, keyFile, evidence),
    hasKeyFile: keyFile !== undefined,
    hasCommitFrom: (number, writers) => hasCommitFrom(number, writers, evidence),
  });
  const told = toldOf(candidates, choice);
  const end =
    told && (tree.nodes.find(({ candidate }) => candidate === told) ?? standAlone(told, tree, { lists, rings }));
  const chosen = await (end ? chooser.through(await end) : chooser.choose());
  const last = chosen.line.at(-1);
  if (last === undefined) throw archiveErrors.no_keyring({ keyrings: candidates.length });
  await noteProof(chosen, { chooser, candidates, lists, problems });
  const { keyring, sha256 } = last.candidate;
  const others = candidates.toReversed().flatMap((candidate) => rings.get(candidate) ?? []);
  const openers = await openersOf(archiveId, keyFile ?? [...(last.ring ?? []), ...others], tools);
  const line = chosen.line.map(({ candidate }) => candidate.sha256);
  return { keyring, sha256, line, openers, forks: chosen.forks };
}

/** What finding the keyring takes besides records. */
export type KeyringReading = {
  readonly access: ReadAccess;
  readonly tools: ReadTools;
  readonly problems: ReadProblem[];
  readonly choice?: ReadChoice;
};

/** @throws archive.no_keyring, with the number of slots of which it is not known whether the secret fits */
async function ringsBySecret(
  candidates: readonly KeyringCandidate[],
  access: ReadAccess,
  by: Omit<RingOpening, 'openSlot'>,
): Promise<OpenedRings['rings']> {
  if ('epochs' in access) return new Map();
  const { rings, slotsNotTried } = await openRings(candidates, { ...by, openSlot: openSlotOf(access) });
  if (rings.size === 0) throw archiveErrors.no_keyring({ keyrings: candidates.length, slotsNotTried });
  return rings;
}

function openSlotOf(access: Exclude<ReadAccess, { readonly epochs: unknown }>): OpenSlot {
  if ('openSlot' in access) return access.openSlot;
  return (slot, place) => openRecoverySlot(slot, place, access.entropy);
}

/** The keyring whose line is asked for. @throws archive.no_keyring where it is not there, or more than one is meant */
function toldOf(candidates: readonly KeyringCandidate[], { keyring }: ReadChoice): KeyringCandidate | undefined {
  if (keyring === undefined) return undefined;
  const meant = candidates.filter(({ sha256 }) => equalBytes(sha256.subarray(0, keyring.length), keyring));
  if (meant.length === 1) return meant[0];
  throw archiveErrors.no_keyring({ keyrings: candidates.length, meant: meant.length });
}
