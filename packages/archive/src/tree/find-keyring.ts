import { archiveErrors } from '../errors.ts';
import { hkdfWeb, importHkdfSecret } from '../crypto/derive-web.ts';
import type { XaesOpener } from '../crypto/xaes.ts';
import { equalBytes, joinBytes } from '../format/cursor.ts';
import { type ArchiveHeader, parseHeader } from '../format/header.ts';
import { type Keyring, parseKeyring } from '../format/keyring.ts';
import { keyLabels, keyUseOf } from '../format/keys.ts';
import { isRecordSigned, type RecordOpeners, sha256Of } from '../format/open.ts';
import { type Ordinal, writerOf } from '../format/ordinal.ts';
import { RecordKind, splitRecord } from '../format/record.ts';
import { openRecoverySlot } from '../format/slot.ts';
import { chooseKeyring, type KeyringCandidate, noteTwins } from './choose-keyring.ts';
import { noteProblem } from './note-problem.ts';
import { type OpenedRing, openerFor, openNewestRing, type RingOpening } from './open-ring.ts';
import type { OpenSlot, ReadAccess, ReadProblem, ReadTools, RecordSource } from './record-source.ts';

/** The header of an archive and the id that follows from it. */
export type FoundHeader = { readonly archiveId: Uint8Array<ArrayBuffer>; readonly header: ArchiveHeader };

/** The keyring whose writers count, and the keys that are at hand. */
export type FoundKeyring = {
  readonly keyring: Keyring;
  readonly sha256: Uint8Array;
  readonly openers: RecordOpeners;
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
 * Finds the keys that the secret leads to, and the keyring whose writers count.
 *
 * @throws archive.no_keyring
 */
export async function findKeyring(
  source: RecordSource,
  found: FoundHeader,
  reading: { readonly access: ReadAccess; readonly tools: ReadTools; readonly problems: ReadProblem[] },
): Promise<FoundKeyring> {
  const { access, tools, problems } = reading;
  const candidates = await validKeyrings(source, found, reading);
  noteTwins(candidates, problems);
  const ring =
    'epochs' in access
      ? { opened: undefined, epochs: access.epochs }
      : await ringBySecret(candidates, { archiveId: found.archiveId, openSlot: openSlotOf(access), tools, problems });
  const openers = await openersOf(found.archiveId, ring.epochs, tools);
  const chosen = await chooseKeyring(candidates, ring.opened, { source, openers, tools, problems });
  if (chosen === undefined) throw archiveErrors.no_keyring({ keyrings: candidates.length });
  return { keyring: chosen.keyring, sha256: chosen.sha256, openers };
}

/** @throws archive.no_keyring, with the number of slots of which it is not known whether the secret fits */
async function ringBySecret(candidates: readonly KeyringCandidate[], by: RingOpening): Promise<OpenedRing> {
  const { ring, slotsNotTried } = await openNewestRing(candidates, by);
  if (ring === undefined) throw archiveErrors.no_keyring({ keyrings: candidates.length, slotsNotTried });
  return ring;
}

function openSlotOf(access: Exclude<ReadAccess, { readonly epochs: unknown }>): OpenSlot {
  if ('openSlot' in access) return access.openSlot;
  return (slot, place) => openRecoverySlot(slot, place, access.entropy);
}

async function validKeyrings(
  source: RecordSource,
  { archiveId, header }: FoundHeader,
  { tools, problems }: { readonly tools: ReadTools; readonly problems: ReadProblem[] },
): Promise<KeyringCandidate[]> {
  const valid: KeyringCandidate[] = [];
  const seen = new Set<Ordinal>();
  for await (const ordinal of source.ordinalsOf(RecordKind.keyring)) {
    const bytes = seen.has(ordinal) ? undefined : await source.read(ordinal);
    seen.add(ordinal);
    if (bytes === undefined) continue;
    try {
      const keyring = parseKeyring(splitRecord(bytes).open);
      const first = keyring.writers[0]!;
      const signer = keyring.writers.find(({ number }) => number === writerOf(ordinal));
      const isFirst = first.number === 0 && equalBytes(first.publicKey, header.writerKey);
      const isSigned = await isRecordSigned(bytes, archiveId, async (message, mark) => {
        return signer !== undefined && tools.verify(joinBytes(signer.publicKey), message, mark);
      });
      if (isFirst && isSigned) valid.push({ keyring, bytes, ordinal, sha256: await sha256Of(bytes) });
      else noteProblem(problems, { problem: 'a keyring is not signed by a writer of this archive', ordinal });
    } catch (cause) {
      noteProblem(problems, { problem: 'a keyring cannot be read', ordinal, cause });
    }
  }
  return valid.toSorted((a, b) => b.keyring.number - a.keyring.number);
}

/** Keys of epochs as record openers, derived by WebCrypto. */
export async function openersOf(
  archiveId: Uint8Array,
  epochs: readonly { readonly number: number; readonly key: Uint8Array }[],
  tools: ReadTools,
): Promise<RecordOpeners> {
  const openers = new Map<string, XaesOpener>();
  for (const { number, key } of epochs) {
    const secret = await importHkdfSecret(joinBytes(key));
    for (const use of ['data', 'metadata'] as const) {
      const derived = await hkdfWeb(secret, joinBytes(archiveId), keyLabels[use]);
      openers.set(`${use} ${number}`, await openerFor(derived, tools));
    }
  }
  return { archiveId, openerOf: (kind, epoch) => openers.get(`${keyUseOf(kind)} ${epoch}`) };
}
