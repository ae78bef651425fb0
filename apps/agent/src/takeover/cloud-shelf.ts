/** Records of an archive at the cloud for a device that may read it and does not write it yet. */
import { type Ordinal, parseRecordHeader, RecordKind } from '@holdfast/archive';
import type { RecordSource } from '@holdfast/archive/read';
import { MAX_READ_ORDINALS, storageRoutes } from '@holdfast/contract';
import type { CloudClient } from '../cloud/cloud-client.ts';
import { ordinalBytes, recordsIn } from '../cloud/cloud-destination.ts';
import { cloudErrors } from '../cloud/errors.ts';
import { readStream } from '../cloud/read-stream.ts';

const listedBytes = 7;
/** More headers, keyrings or commits than an archive comes to; what is listed is kept in memory. */
const mostListed = 4_000_000;
const readAhead = 32;

/** Reads records by kind or by ordinal. Nothing that it gives is proven. */
export class CloudShelf {
  readonly #client: CloudClient;
  readonly #archiveId: string;

  /** `archiveId`: as a UUID. */
  constructor(client: CloudClient, archiveId: string) {
    this.#client = client;
    this.#archiveId = archiveId;
  }

  /** Ordinals of the records of a kind. @throws cloud_link.reply_invalid */
  async *list(kind: number): AsyncGenerator<{ readonly ordinal: Ordinal }> {
    const params = { archiveId: this.#archiveId };
    const reply = await this.#client.call(storageRoutes.ordinals, { params, query: { kind: String(kind) } });
    const view = readStream(reply);
    let left = mostListed;
    for (let entry = await view.take(listedBytes); entry; entry = await view.take(listedBytes)) {
      if (left-- === 0) throw cloudErrors.reply_invalid({ problem: 'more records than there can be' });
      yield { ordinal: Buffer.from(entry.buffer, entry.byteOffset, listedBytes).readUIntLE(0, 6) };
    }
  }

  /** The records with these ordinals that are there, in any order. @throws cloud_link.reply_invalid */
  async *read(ordinals: readonly Ordinal[]): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const params = { archiveId: this.#archiveId };
    for (let first = 0; first < ordinals.length; first += MAX_READ_ORDINALS) {
      const wanted = ordinals.slice(first, first + MAX_READ_ORDINALS);
      let left = wanted.length;
      const reply = await this.#client.call(storageRoutes.read, { params, stream: ordinalBytes(wanted) });
      for await (const record of recordsIn(reply)) {
        if (left-- === 0) throw cloudErrors.reply_invalid({ problem: 'more records than were asked for' });
        yield record;
      }
    }
  }

  /** The same as what readers of an archive ask of; keyrings, of which all are read, come some at a time. */
  asSource(): RecordSource {
    let listed: readonly Ordinal[] = [];
    const ahead = new Map<Ordinal, Uint8Array<ArrayBuffer>>();
    const list = (kind: number) => this.list(kind);
    return {
      async *ordinalsOf(kind) {
        const ordinals: Ordinal[] = [];
        for await (const { ordinal } of list(kind)) ordinals.push(ordinal);
        if (kind === RecordKind.keyring) listed = ordinals;
        yield* ordinals;
      },
      read: async (ordinal) => {
        const known = ahead.get(ordinal);
        if (known) return known;
        ahead.clear();
        const at = listed.indexOf(ordinal);
        const wanted = at < 0 ? [ordinal] : listed.slice(at, at + readAhead);
        for await (const record of this.read(wanted)) ahead.set(parseRecordHeader(record).ordinal, record.slice());
        return ahead.get(ordinal);
      },
    };
  }
}
