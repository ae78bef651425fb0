import { DRAFT_REVISION, type Header, isSignedFor, type Keyring, readHeader, readKeyring } from '../format/keyring.ts';
import { kinds, type RecordFrame } from '../format/record.ts';
import type { Findings } from './findings.ts';
import { Introductions } from './introductions.ts';
import { quietly } from './quietly.ts';
import type { Shelf } from './shelf.ts';

/** A header with the keyrings that are signed for it (§14.2), by rising number and hash. */
export type FoundArchive = {
  readonly header: Header;
  readonly keyrings: readonly Keyring[];
  readonly introductions: Introductions;
};

/** Of each header, keyrings in which every writer was introduced, and as many others: anybody can sign one of those. */
const KEYRINGS_LOOKED_AT = 10_000;
const HEADERS_LOOKED_AT = 10_000;

/** Whether this reader knows the format and draft of a header. */
export const isKnownFormat = (header: Header): boolean => header.format === 1 && header.draft === DRAFT_REVISION;

/** The valid headers there are, of whatever format, each once. */
export function gatherHeaders(shelf: Shelf, findings: Findings): readonly Header[] {
  const headers = new Map<string, Header>();
  for (const frame of framesOf(shelf, 'header')) {
    const header = quietly(() => readHeader(frame));
    if (header === undefined) noteRefused(findings, 'header');
    else if (headers.size < HEADERS_LOOKED_AT) headers.set(header.archiveId.toString('hex'), header);
    else noteTooMany(findings, 'header', HEADERS_LOOKED_AT);
  }
  noteHeaders([...headers.values()], findings);
  return [...headers.values()];
}

function noteHeaders(headers: readonly Header[], findings: Findings): void {
  const known = headers.filter(isKnownFormat);
  if (known.length > 1) {
    const ids = known.map(({ archiveId }) => archiveId.toString('hex')).join(', ');
    const message = `the folder holds headers of several archives: ${ids}`;
    findings.add({ severity: 'notice', code: 'header.several', message });
  }
  if (known.length === 0) return;
  for (const { archiveId, format, draft } of headers.filter((header) => !known.includes(header))) {
    const message = `the header of archive ${archiveId.toString('hex')} is of format ${format}, draft ${draft ?? 'none'}, which this reader does not know`;
    findings.add({ severity: 'notice', code: 'header.unknown_format', message });
  }
}

/** The keyrings that are signed for one of these headers. What is not is counted and let go: anybody can make many. */
export function gatherKeyrings(shelf: Shelf, headers: readonly Header[], findings: Findings): readonly FoundArchive[] {
  const sieves = headers.map((header) => new KeyringSieve(header));
  const byFirstKey = new Map<string, KeyringSieve[]>();
  for (const sieve of sieves) {
    const key = sieve.header.firstWriterKey.toString('latin1');
    byFirstKey.set(key, [...(byFirstKey.get(key) ?? []), sieve]);
  }
  for (const frame of framesOf(shelf, 'keyring')) {
    const keyring = quietly(() => readKeyring(frame));
    const possible = byFirstKey.get(keyring?.writers[0]?.publicKey.toString('latin1') ?? '') ?? [];
    const outcomes = keyring === undefined ? [] : possible.map((sieve) => sieve.take(keyring));
    if (outcomes.includes('full')) noteTooMany(findings, 'keyring', KEYRINGS_LOOKED_AT);
    else if (!outcomes.includes('taken')) noteRefused(findings, 'keyring');
  }
  return sieves.map((sieve) => sieve.found());
}

/** Keeps the keyrings that are signed for a header, each once, and no more than so many. */
class KeyringSieve {
  readonly header: Header;
  readonly #introductions: Introductions;
  readonly #kept = new Map<string, Keyring>();
  readonly #room = { introduced: KEYRINGS_LOOKED_AT, others: KEYRINGS_LOOKED_AT };

  constructor(header: Header) {
    this.header = header;
    this.#introductions = new Introductions(header.archiveId);
  }

  take(keyring: Keyring): 'taken' | 'refused' | 'full' {
    const name = keyring.hash.toString('latin1');
    if (this.#kept.has(name)) return 'taken';
    if (!isSignedFor(keyring, this.header)) return 'refused';
    const room = this.#introductions.holdFrom(keyring.writers, 0) ? 'introduced' : 'others';
    if (this.#room[room] === 0) return 'full';
    this.#room[room] -= 1;
    this.#kept.set(name, keyring);
    return 'taken';
  }

  found(): FoundArchive {
    const keyrings = [...this.#kept.values()].sort(byNumber);
    return { header: this.header, keyrings, introductions: this.#introductions };
  }
}

/** The order of keyrings: by rising number, then by hash. */
export const byNumber = (a: Keyring, b: Keyring): number => a.number - b.number || Buffer.compare(a.hash, b.hash);

/** The records of a kind in the keys folder, then in segments. */
function* framesOf(shelf: Shelf, kind: 'header' | 'keyring'): Generator<RecordFrame> {
  for (const { frame } of shelf.keyFiles(kind)) if (frame.kind === kinds[kind]) yield frame;
  for (const place of shelf.index.ofKinds([kinds[kind]])) {
    const frame = shelf.read(place);
    if (frame !== undefined) yield frame;
  }
}

function noteRefused(findings: Findings, what: string): void {
  const message = `a ${what} record is not well formed or not rightly signed`;
  findings.add({ severity: 'notice', code: `${what}.refused`, message });
}

function noteTooMany(findings: Findings, what: string, limit: number): void {
  const message = `there are more than ${limit} ${what}s, and this one was not looked at: many of them are forged`;
  findings.add({ severity: 'unproven', code: `${what}.too_many`, message });
}
