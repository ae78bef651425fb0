import { RecoverError } from '../errors.ts';
import type { Keyring } from '../format/keyring.ts';
import type { Epochs, Ring } from '../format/ring.ts';
import { type KeyFile, readKeyFile, readReadKeys, type Secret } from '../format/secret.ts';
import type { Findings } from './findings.ts';
import { type FoundArchive, gatherHeaders, gatherKeyrings, isKnownFormat } from './gather-keyrings.ts';
import { LineChooser } from './keyring-line.ts';
import { growTree } from './keyring-tree.ts';
import { openRings } from './open-ring.ts';
import type { Shelf } from './shelf.ts';
import { nameSlots, type SlotOpener, type SlotSecret, takeSlotSecret } from './slot-keys.ts';

/** An archive with what the secret opens: the rings of its keyrings, or the epochs of the key file or of the read keys. */
export type ArchiveKeys = FoundArchive & {
  readonly archiveId: Buffer;
  /** Empty with a key file or read keys. */
  readonly rings: ReadonlyMap<Keyring, Ring>;
  readonly keyFile: Epochs | undefined;
};

/**
 * Finds header and keyrings and opens what the secret opens (§14.1, §14.2).
 *
 * @throws archive.no_header, archive.unknown_format, archive.no_keyring, secret.invalid, secret.other_archive, secret.opens_nothing, secret.not_all_tried, secret.too_costly
 */
export function findKeys(
  shelf: Shelf,
  { secret, passwordTries }: { readonly secret: Secret; readonly passwordTries?: number },
  findings: Findings,
): ArchiveKeys {
  if ('keyFile' in secret) return keysFromFile(shelf, readKeyFile(secret.keyFile), findings);
  if ('readKeys' in secret) return keysFromFile(shelf, readReadKeys(secret.readKeys), findings);
  const slotSecret = takeSlotSecret(secret, passwordTries);
  const headers = gatherHeaders(shelf, findings);
  const [first] = headers;
  if (first === undefined) throw new RecoverError('archive.no_header', {});
  const known = headers.filter(isKnownFormat);
  if (known.length === 0) throw unknownFormat(first);
  const archives = gatherKeyrings(shelf, known, findings);
  for (const [index, archive] of archives.entries()) {
    const { archiveId } = archive.header;
    const opener = slotSecret.openerFor(archiveId, archives.length - index, findings);
    const rings = openArchiveRings(archive, opener);
    if (rings.size > 0) return { ...archive, archiveId, rings, keyFile: undefined };
  }
  const keyrings = archives.flatMap((archive) => archive.keyrings);
  throw nothingOpens(keyrings, slotSecret);
}

function openArchiveRings({ header, keyrings, introductions }: FoundArchive, opener: SlotOpener) {
  const nothing = { introductions, byKeyFile: false, opened: no, isNamed: no, isCommitted: no };
  const tree = growTree(keyrings, { rings: new Map(), introductions });
  const line = new LineChooser(tree, nothing).lineFrom(tree.root);
  const plainLine = line.flatMap(({ keyring }) => keyring ?? []);
  const isIntroduced = ({ writers }: Keyring) => introductions.holdFrom(writers, 0);
  return openRings({ archiveId: header.archiveId, opener, keyrings, plainLine, isIntroduced });
}

const no = (): boolean => false;

/** Why a secret opened nothing: what was not tried, or could not be, is said beside what there are slots for. */
function nothingOpens(keyrings: readonly Keyring[], secret: SlotSecret): RecoverError {
  if (keyrings.length === 0) return new RecoverError('archive.no_keyring', { keyrings: 0 });
  const { workedOut, tooCostly, notTried } = secret.tries();
  const facts = {
    keyrings: keyrings.length,
    slotsFor: nameSlots(keyrings.flatMap((keyring) => keyring.slotKinds)),
    ...(tooCostly > 0 && { slotsTooCostly: tooCostly }),
    ...(notTried > 0 && { slotsNotTried: notTried }),
  };
  if (notTried > 0) return new RecoverError('secret.not_all_tried', facts);
  return new RecoverError(tooCostly > 0 && workedOut === 0 ? 'secret.too_costly' : 'secret.opens_nothing', facts);
}

function keysFromFile(shelf: Shelf, { archiveId, epochs }: KeyFile, findings: Findings): ArchiveKeys {
  const headers = gatherHeaders(shelf, findings);
  const header = headers.find((one) => one.archiveId.equals(archiveId));
  if (header === undefined && headers.length > 0) {
    const archives = headers.map((one) => one.archiveId.toString('hex'));
    throw new RecoverError('secret.other_archive', { keyFile: archiveId.toString('hex'), archives });
  }
  if (header === undefined) throw new RecoverError('archive.no_header', {});
  if (!isKnownFormat(header)) throw unknownFormat(header);
  const [archive] = gatherKeyrings(shelf, [header], findings);
  return { ...archive!, archiveId, rings: new Map(), keyFile: epochs };
}

function unknownFormat({ format, draft }: FoundArchive['header']): RecoverError {
  return new RecoverError('archive.unknown_format', { format, draft: draft ?? 'none' });
}
