/** What the cloud has of a device, read from the server alone, as a second machine with the device's keys reads it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CloudClient, type Enrollment } from '@holdfast/agent/cloud';
import {
  type CommitSealed,
  contentOf,
  deriveKeyRing,
  openRecordSync,
  parseCommitOpen,
  parseCommitSealed,
  parseFileKey,
  parseRow,
  recordLengthOf,
  parseRecordHeader,
  type Row,
} from '@holdfast/archive';
import { formatUuid } from '@holdfast/base';
import { storageRoutes } from '@holdfast/contract';

type StoredKeys = {
  readonly archiveId: string;
  readonly epochs: readonly { readonly number: number; readonly suite: number; readonly key: string }[];
};

/** A view of a device's archive at its server. It opens no session: the agent's goes on. */
export class CloudView {
  readonly #client: CloudClient;
  readonly #keys: Parameters<typeof openRecordSync>[1];
  readonly #params: { readonly archiveId: string };
  #seen = 0;

  /** `stateDir` is that of the agent, whose enrolment and keys are read from their files. */
  constructor(stateDir: string) {
    const read = (name: string) => JSON.parse(readFileSync(path.join(stateDir, name), 'utf8')) as unknown;
    this.#client = new CloudClient(read('enrollment.json') as Enrollment);
    const stored = read('keys.json') as StoredKeys;
    const archiveId = Uint8Array.fromHex(stored.archiveId);
    const epochs = stored.epochs.map(({ number, suite, key }) => ({ number, suite, key: Uint8Array.fromHex(key) }));
    this.#keys = { archiveId, ring: deriveKeyRing(archiveId, epochs) };
    this.#params = { archiveId: formatUuid(archiveId) };
  }

  /** Number of the newest commit that the server has acknowledged; 0 before the first. */
  async head(): Promise<number> {
    const { archives } = await this.#client.call(storageRoutes.list, {});
    return archives[0]?.head?.number ?? 0;
  }

  /** The rows of files that commits put since the last call, by name. */
  async newRows(): Promise<ReadonlyMap<string, Row>> {
    const rows = new Map<string, Row>();
    for (const { key, value } of (await this.newCommits()).flatMap(({ puts }) => puts))
      if (key[0] === filesSpace) rows.set(Buffer.from(parseFileKey(key).name).toString(), parseRow(value));
    return rows;
  }

  /** What the commits since the last call seal. */
  async newCommits(): Promise<readonly CommitSealed[]> {
    if ((await this.head()) === this.#seen) return [];
    const query = { kind: 'commit', after: String(this.#seen) } as const;
    const reply = await this.#client.call(storageRoutes.records, { params: this.#params, query });
    return Array.from(recordsOf(new Uint8Array(await reply.arrayBuffer())), (record) => {
      const { open, raw } = openRecordSync(record, this.#keys);
      this.#seen = Math.max(this.#seen, parseCommitOpen(open).number);
      return parseCommitSealed(raw);
    });
  }

  /** SHA-256 (hex) of a file's content, put together from the records that the server hands out. */
  async sha256Of(row: Row): Promise<string> {
    const hash = createHash('sha256');
    for (const { ordinal, offset, length } of contentOf(row)?.extents ?? []) {
      const stream = Buffer.alloc(6);
      stream.writeUIntLE(ordinal, 0, 6);
      const reply = await this.#client.call(storageRoutes.read, { params: this.#params, stream });
      const { raw } = openRecordSync(new Uint8Array(await reply.arrayBuffer()), this.#keys);
      hash.update(raw.subarray(offset, offset + length));
    }
    return hash.digest('hex');
  }

  close(): void {
    this.#client.close();
  }
}

/** First byte of the keys of rows of files. */
const filesSpace = 1;

function* recordsOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const length = recordLengthOf(parseRecordHeader(bytes, at));
    yield bytes.subarray(at, at + length);
    at += length;
  }
}
