import * as bytes from './write-structures.ts';

const { f } = bytes;

type Metadata = {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly modified?: readonly [number, number];
  readonly xattrs?: Readonly<Record<string, Buffer>>;
  readonly linkGroup?: number;
};

type Content =
  | { readonly extents: readonly bytes.WrittenExtent[] }
  | {
      readonly list: { readonly level: number; readonly reference: Buffer };
      readonly extents: readonly bytes.WrittenExtent[];
    };

function head(type: number, metadata: Metadata): readonly Buffer[] {
  const [seconds, nanoseconds] = metadata.modified ?? [1_600_000_000, 123_456_789];
  return [
    f('1!', type),
    f('3', metadata.mode ?? 0o644),
    f('4', metadata.uid ?? 1234),
    f('5', metadata.gid ?? 2345),
    f('6', Buffer.from('somebody')),
    f('8', bytes.instant(seconds, nanoseconds)),
    f('9', bytes.instant(seconds)),
  ];
}

function linkField(metadata: Metadata): readonly Buffer[] {
  return metadata.linkGroup === undefined ? [] : [f('12', bytes.u64(metadata.linkGroup))];
}

function contentStream(content: Content): Buffer {
  const { extents } = content;
  const size = extents.reduce((sum, extent) => sum + extent.length, 0);
  const where =
    'list' in content
      ? f('5!', Buffer.concat([Buffer.of(content.list.level), content.list.reference]))
      : f('4!', Buffer.concat(extents.map(bytes.extentBytes)));
  const plain = extents.length === 1 && extents[0]!.ordinal !== 2 ** 48 - 1 && !('list' in content);
  return Buffer.concat([f('2!', size), where, plain ? Buffer.alloc(0) : f('6!', bytes.contentHash(extents))]);
}

function xattrStream(xattrs: Readonly<Record<string, Buffer>>): Buffer {
  const names = Object.keys(xattrs).sort();
  const value = Buffer.concat(
    names.flatMap((name) => [
      bytes.varint(name.length),
      Buffer.from(name),
      bytes.varint(xattrs[name]!.length),
      xattrs[name]!,
    ]),
  );
  return Buffer.concat([f('1', 1), f('2!', value.length), f('3!', value)]);
}

/** A file's row; without extents it is empty. */
export function fileRow(content: Content, metadata: Metadata = {}): Buffer {
  const streams = [
    ...(content.extents.length === 0 ? [f('14!', f('2!', 0))] : [f('14!', contentStream(content))]),
    ...(metadata.xattrs === undefined ? [] : [f('14!', xattrStream(metadata.xattrs))]),
  ];
  return Buffer.concat([...head(1, metadata), ...linkField(metadata), ...streams]);
}

export const symlinkRow = (target: Buffer, metadata: Metadata = {}): Buffer =>
  Buffer.concat([...head(3, metadata), ...linkField(metadata), f('13!', target)]);

/** A FIFO (4), socket (5) or, with major and minor, a device (6, 7). */
export function specialRow(type: number, device?: readonly [number, number]): Buffer {
  const numbers = device === undefined ? [] : [f('11', Buffer.concat([bytes.u32(device[0]), bytes.u32(device[1])]))];
  return Buffer.concat([...head(type, { mode: 0o640 }), ...numbers]);
}

export const directoryEntry = (number: number, since: number): Buffer =>
  Buffer.concat([f('1!', 2), f('15!', bytes.u64(number)), f('16!', since)]);

export function ownRow(
  parent: number,
  name: string,
  options: Metadata & { readonly since?: number; readonly mountedAt?: string } = {},
): Buffer {
  return Buffer.concat([
    ...head(2, { mode: 0o755, ...options }),
    ...(options.xattrs === undefined ? [] : [f('14!', xattrStream(options.xattrs))]),
    f('16!', options.since ?? 0),
    f('17!', Buffer.concat([bytes.u64(parent), Buffer.from(name)])),
    ...(options.mountedAt === undefined ? [] : [f('20', Buffer.from(options.mountedAt))]),
  ]);
}

export const absentRow = (): Buffer => Buffer.concat([f('1!', 8), f('19', 1)]);

/** Both rows of a directory. */
export function directory(
  at: { readonly parent: number; readonly name: string; readonly number: number; readonly commit: number },
  options: Parameters<typeof ownRow>[2] = {},
) {
  return [
    { key: bytes.rowKey(at.parent, at.name, at.commit), value: directoryEntry(at.number, at.commit) },
    {
      key: bytes.rowKey(at.number, '', at.commit),
      value: ownRow(at.parent, at.name, { since: at.commit, ...options }),
    },
  ];
}
