import { hash } from 'node:crypto';

import { joinBytes } from '../format/cursor.ts';
import { type Extent, holesOf } from '../format/extent.ts';
import type { Row } from '../format/row.ts';
import type { Time } from '../format/time.ts';
import type { Xattr } from '../format/xattrs.ts';
import type { ArchiveMaker } from './archive-maker.ts';
import { type GoldenScene, inlineXattrs, type Piece, storePieces, streamOf, streamsOf } from './golden-scene.ts';

/** Text as bytes, one byte a letter. */
export const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

/** The instant that golden archives begin at, and so many seconds later: 2026-01-05T08:00:00Z. */
export const golden = (seconds: number, nanoseconds = 0): Time => ({ seconds: 1_767_600_000 + seconds, nanoseconds });

/** Metadata of an ordinary file. */
export const owned: Partial<Row> = {
  sets: [1],
  mode: 0o644,
  uid: 1000,
  gid: 100,
  userName: latin1('ana'),
  groupName: latin1('users'),
  modifiedAt: golden(-86_400, 123_456_789),
  changedAt: golden(-86_399),
};

/** Metadata of an ordinary directory. */
export const ownedDirectory: Partial<Row> = { ...owned, mode: 0o755 };

/** Text that compresses, of some length. */
export function prose(title: string, bytes: number): Uint8Array {
  const line = `${title}: the quick brown fox jumps over the lazy dog, and nothing of it is lost.\n`;
  return latin1(line.repeat(Math.ceil(bytes / line.length)).slice(0, bytes));
}

/** A file to put: its path, what it holds, and what is not as in `owned`. */
export type FilePlan = { readonly path: string; readonly pieces: readonly Piece[]; readonly row?: Partial<Row> };

/** Puts a file whose content is stored in records of its own. */
export function putFile(
  scene: GoldenScene,
  path: string,
  pieces: readonly Piece[],
  rest: { readonly row?: Partial<Row>; readonly kind?: 'block' | 'bundle' } = {},
): void {
  const extents = storePieces(scene.maker, pieces, rest.kind ?? 'bundle');
  putStored(scene, { path, pieces, ...(rest.row && { row: rest.row }) }, extents);
}

/** Puts files whose contents lie back to back in one bundle. */
export function putFiles(scene: GoldenScene, plans: readonly FilePlan[]): void {
  const holes = (piece: Piece) => (typeof piece === 'number' ? holesOf(piece).length : 1);
  let extents: readonly Extent[] = storePieces(
    scene.maker,
    plans.flatMap(({ pieces }) => pieces),
    'bundle',
  );
  for (const plan of plans) {
    const count = plan.pieces.reduce<number>((sum, piece) => sum + holes(piece), 0);
    putStored(scene, plan, extents.slice(0, count));
    extents = extents.slice(count);
  }
}

function putStored(scene: GoldenScene, { path, pieces, row }: FilePlan, extents: readonly Extent[]): void {
  const stored = streamsOf(streamOf('content', extents, pieces));
  scene.entry(path, { ...owned, ...row, type: 'file', ...stored.row }, stored.kept);
}

/** Puts one row of every type, and of every field a row can have. */
export function putEveryType(scene: GoldenScene, home: string): void {
  const { maker } = scene;
  scene.entry(`${home}/dangling`, { ...owned, mode: 0o777, type: 'symlink', target: latin1('../no where\xff') });
  scene.entry(`${home}/pipe`, { ...owned, type: 'fifo', mode: 0o600 });
  scene.entry(`${home}/socket`, { ...owned, type: 'socket', mode: 0o755 });
  scene.entry(`${home}/tty`, { ...owned, type: 'character_device', device: { major: 4, minor: 300_000 } });
  scene.entry(`${home}/disk`, { ...owned, type: 'block_device', device: { major: 259, minor: 1 } });
  scene.entry(`${home}/empty`, { ...owned, type: 'file', sets: [1, 2, 300] });
  const early = { seconds: -1, nanoseconds: 500_000_000 };
  const times = { modifiedAt: early, changedAt: { seconds: -11_644_473_600, nanoseconds: 100 }, bornAt: golden(-9) };
  const unknown = [{ tag: 40, value: latin1('of a later version') }];
  putFiles(scene, [
    { path: `${home}/new\nline "and" %41 \u00e4\xff`, pieces: [prose('odd name', 300)], row: { mode: 0o6755 } },
    { path: `${home}/${'n'.repeat(255)}`, pieces: [prose('long name', 200)] },
    { path: `${home}/before 1970`, pieces: [prose('early', 100)], row: { ...times, flags: 1, uid: 4_294_967_294 } },
    { path: `${home}/from the future`, pieces: [prose('unknown', 100)], row: { unknown, flags: 6 } },
    { path: `${home}/sparse`, pieces: [1_000_000, prose('island', 5000), 70_000, prose('shore', 10), 24_990] },
    { path: `${home}/all hole`, pieces: [4096] },
    { path: `${home}/three gib hole`, pieces: [3 * 2 ** 30] },
  ]);
  scene.put(scene.numberOf(home), latin1('half.iso'), { ...owned, type: 'partial', streams: halfOf(maker) });
  putPieces(scene, home);
  putAttributes(scene, home);
}

function halfOf(maker: ArchiveMaker) {
  const pieces = [maker.random(1500), maker.random(1800)];
  return [streamOf('content', storePieces(maker, pieces, 'bundle'), pieces).stream];
}

function putPieces(scene: GoldenScene, home: string): void {
  const pieces = Array.from({ length: 16 }, (_, index) => prose(`piece ${index}`, 100 + index));
  const stream = streamOf('content', storePieces(scene.maker, pieces, 'bundle'), pieces);
  const { row, kept } = streamsOf({
    ...stream,
    stream: { ...stream.stream, plainSha256: hash('sha256', joinBytes(...pieces), 'buffer') },
  });
  scene.entry(`${home}/sixteen pieces`, { ...owned, type: 'file', ...row }, kept);
}

function putAttributes(scene: GoldenScene, home: string): void {
  const { maker } = scene;
  const acl = Uint8Array.fromHex(
    '0200000001000600ffffffff02000600e903000004000400ffffffff10000600ffffffff20000400ffffffff',
  );
  const few: Xattr[] = [
    { name: latin1('system.posix_acl_access'), value: acl },
    { name: latin1('user.empty'), value: new Uint8Array(0) },
    { name: latin1('user.note'), value: latin1('bytes \0 and \xff') },
  ];
  const text = [prose('attributes', 900)];
  const content = streamOf('content', storePieces(maker, text, 'bundle'), text);
  const inRow = streamsOf(content, inlineXattrs(few));
  scene.entry(`${home}/attributes`, { ...owned, type: 'file', ...inRow.row }, { ...inRow.kept, xattrs: few });
  const long: Xattr[] = [{ name: latin1('user.long'), value: prose('value', 3000) }];
  const bytes = inlineXattrs(long).pieces[0] as Uint8Array;
  const stored = streamOf('xattrs', storePieces(maker, [bytes], 'bundle'), [bytes]);
  const fork = [prose('fork', 700)];
  const extents = storePieces(maker, fork, 'bundle');
  const forked = streamOf('fork', extents, fork);
  const alternate = streamOf('alternate', extents, fork);
  const all = streamsOf(content, stored, withName(forked, 'rsrc'), withName(alternate, 'Zone.Identifier'));
  scene.entry(`${home}/long attributes`, { ...owned, type: 'file', ...all.row }, { ...all.kept, xattrs: long });
}

function withName(stored: ReturnType<typeof streamOf>, name: string): ReturnType<typeof streamOf> {
  return { ...stored, stream: { ...stored.stream, name: latin1(name) } };
}
