import { canonicalJson, parseCanonicalJson, type Json } from './canonical-json.ts';
import { noteErrors, openNote, signNote, type NoteSigner, type VerifierKey } from './signed-note.ts';

/** One enrolment of one device. A device that comes back has another key, so nothing said of the one is true of the other. */
export type EnrolledIdentity = {
  readonly installationId: string;
  readonly tenantUid: string;
  readonly deviceUid: string;
  /** RFC 7638 thumbprint (SHA-256, base64url) of the key that the device enrolled with. */
  readonly keyThumbprint: string;
};

/**
 * First line of each statement. A log's head begins with the name of its log and has at least three lines, so that
 * neither is ever taken for the other, though one key signs both.
 */
const CONTEXT = 'holdfast/device-deauthorization/v1';
/** RFC 3339 in UTC with milliseconds, as `Date.toISOString` writes it. */
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/**
 * States that a device was deauthorised, for good: a signed note of two lines, the context and canonical JSON.
 *
 * Whoever holds it can prove it to that device, at any time; to any other it says nothing.
 * @throws note.not_signable
 */
export function signDeauthorization(
  device: EnrolledIdentity,
  deauthorizedAt: Date,
  signers: readonly NoteSigner[],
): string {
  return signNote(textOf(device, deauthorizedAt.toISOString()), signers);
}

/**
 * Opens a statement that must be about this very enrolment; returns when it was deauthorised (RFC 3339).
 *
 * @throws note.malformed when it is no such statement, or one about another device, key, tenant or installation;
 * note.forged, note.unverified
 */
export function openDeauthorization(note: string, device: EnrolledIdentity, keys: readonly VerifierKey[]): string {
  const { text } = openNote(note, keys);
  const deauthorizedAt = instantIn(text);
  if (deauthorizedAt === undefined || text !== textOf(device, deauthorizedAt)) throw noteErrors.malformed();
  return deauthorizedAt;
}

/** The whole text of a statement: what is opened must equal it, byte for byte. */
function textOf(device: EnrolledIdentity, deauthorizedAt: string): string {
  const { installationId, tenantUid, deviceUid, keyThumbprint } = device;
  return `${CONTEXT}\n${canonicalJson({ installationId, tenantUid, deviceUid, keyThumbprint, deauthorizedAt })}\n`;
}

function instantIn(text: string): string | undefined {
  const stated = parse(text.split('\n')[1] ?? '');
  if (typeof stated !== 'object' || stated === null || !('deauthorizedAt' in stated)) return undefined;
  const { deauthorizedAt } = stated;
  return typeof deauthorizedAt === 'string' && INSTANT.test(deauthorizedAt) ? deauthorizedAt : undefined;
}

function parse(line: string): Json | undefined {
  try {
    return parseCanonicalJson(line);
  } catch {
    return undefined;
  }
}
