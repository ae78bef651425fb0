import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { nodeDisk, scanRecords } from '@holdfast/archive/log';

/** A record as its bytes lie in a folder. */
export type StoredRecord = {
  readonly kind: number;
  readonly lengthBytes: number;
  /** SHA-256 of the whole record, hex. */
  readonly sha256: string;
  /** 24 bytes, hex. */
  readonly nonce: string;
};

/** All records of an archive's folder by ordinal: more than one where an ordinal has several contents. */
export type StoredRecords = ReadonlyMap<number, readonly StoredRecord[]>;

/** The one archive folder below a server's HOLDFAST_HOME. */
export function archiveFolderOf(homeDir: string): string {
  const blobs = path.join(homeDir, 'blobs');
  const folders = readdirSync(blobs).flatMap((tenant) =>
    readdirSync(path.join(blobs, tenant)).map((archive) => path.join(blobs, tenant, archive)),
  );
  if (folders.length !== 1) throw new Error(`there is not one archive: ${folders.join(', ')}`);
  return folders[0]!;
}

/**
 * Reads every record that lies anywhere in an archive's folder, by scanning the bytes of all segments and second copies:
 * neither index nor footer is believed.
 */
export async function scanArchiveFolder(folder: string): Promise<StoredRecords> {
  const found = new Map<number, StoredRecord[]>();
  for (const file of segmentFiles(folder)) {
    for await (const { ordinal, ...record } of recordsIn(file)) {
      const same = found.get(ordinal) ?? [];
      if (!same.some(({ sha256 }) => sha256 === record.sha256)) found.set(ordinal, [...same, record]);
    }
  }
  return found;
}

async function* recordsIn(file: string): AsyncGenerator<StoredRecord & { readonly ordinal: number }> {
  const open = await nodeDisk.open(file, 'read');
  try {
    for await (const finding of scanRecords(open)) {
      if (finding.found !== 'record') continue;
      const { ordinal, kind, offset, lengthBytes } = finding;
      const bytes = Buffer.alloc(lengthBytes);
      await open.read(bytes, offset);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      yield { ordinal, kind, lengthBytes, sha256, nonce: bytes.subarray(24, 48).toString('hex') };
    }
  } finally {
    await open.close();
  }
}

function segmentFiles(folder: string): readonly string[] {
  return ['segments', 'copies']
    .map((name) => path.join(folder, name))
    .filter((each) => existsSync(each))
    .flatMap((each) => readdirSync(each).map((name) => path.join(each, name)));
}

/** Ordinals that have several contents, and nonces that several records of one folder share; both must be empty. */
export function conflictsIn(records: StoredRecords): {
  readonly ordinals: readonly number[];
  readonly nonces: readonly string[];
} {
  const ordinals = [...records].filter(([, contents]) => contents.length > 1).map(([ordinal]) => ordinal);
  const unsealed = '00'.repeat(24);
  const seen = new Map<string, string>();
  const nonces: string[] = [];
  for (const { nonce, sha256 } of [...records.values()].flat()) {
    if (nonce === unsealed) continue;
    if ((seen.get(nonce) ?? sha256) !== sha256) nonces.push(nonce);
    seen.set(nonce, sha256);
  }
  return { ordinals, nonces };
}
