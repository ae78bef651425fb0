/** An intent as it is kept beside its commit, for the case that the commit's answer is lost. */
import { deserialize, serialize } from 'node:v8';
import { ByteReader, ByteWriter } from '../format/cursor.ts';
import type { MapEntry } from '../format/tree-node.ts';
import type { CommitIntent } from './commit-table.ts';

type Kept = Omit<CommitIntent, 'puts'> & { readonly packedPuts: Uint8Array };

/** Puts are packed into one buffer: thousands of small ones cost far more to serialize than the bytes they hold. */
export function serializeIntent({ puts, ...rest }: CommitIntent): Uint8Array {
  const bytes = puts.reduce((sum, { key, value }) => sum + key.length + value.length + 16, 0);
  const writer = new ByteWriter(bytes);
  for (const { key, value } of puts) writer.putSized(key).putSized(value);
  return serialize({ ...rest, packedPuts: writer.written() } satisfies Kept);
}

/** What `serializeIntent` was given. */
export function deserializeIntent(bytes: Uint8Array): CommitIntent {
  const { packedPuts, ...rest } = deserialize(bytes) as Kept;
  const reader = new ByteReader(packedPuts, 'kept puts');
  const puts: MapEntry[] = [];
  while (reader.remaining > 0) puts.push({ key: reader.sized(), value: reader.sized() });
  return { ...rest, puts };
}
