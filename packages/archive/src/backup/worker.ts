/** The worker thread of the engine: takes jobs, reads and seals synchronously, hands fragments to the main thread. */
import { CodedError } from '@holdfast/base';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { createFixedChunker } from '../chunker/fixed.ts';
import { createGearChunker } from '../chunker/gear.node.ts';
import { ByteWriter } from '../format/cursor.ts';
import { type Extent, extentBytes, writeExtent } from '../format/extent.ts';
import { encodeRow } from '../format/row.ts';
import { BlockLookup } from '../index/block-table.ts';
import { EntryLookup } from '../index/entry-table.ts';
import { joinPath } from './bytes.ts';
import { bundledBelowBytes, ContentStore } from './content-store.ts';
import { decodeExtents } from './extent-parts.ts';
import { backupErrors } from './errors.ts';
import { FragmentRouter } from './fragment-router.ts';
import { FragmentWriter } from './fragment-writer.ts';
import { makeRow, makeStream, makeXattrStream } from './make-row.ts';
import type {
  DirectoryPlace,
  FinishJob,
  FlushJob,
  FreshBlocks,
  FromWorker,
  Job,
  ReadJob,
  Reply,
  ScanJob,
  WorkerSetup,
} from './messages.ts';
import { pathOfPlace, withPlace } from './open-place.ts';
import { DirectoryPacker } from './packed-directory.ts';
import { LostPacker, RowPacker } from './packed-rows.ts';
import { joinExtents, storeRange } from './read-file.ts';
import { RecordSealer } from './record-sealer.ts';
import { Routes } from './routes.ts';
import { scanDirectory, type Scanning } from './scan-directory.ts';
import { isCredentialPath, Selection } from './selection.ts';
import { SharedControl } from './shared-control.ts';
import { emptySourceAttributes, isSameState, type Source } from './source.ts';

/** The ports of one worker: jobs and replies on one, buffers that come back on the other. */
export type WorkerPorts = { readonly jobs: MessagePort; readonly spares: MessagePort };

/** Serves jobs until the port closes. The agent calls this in a worker thread with its own `Source`. */
export function runBackupWorker(ports: WorkerPorts, setup: WorkerSetup, source: Source): void {
  const worker = new BackupWorker(ports, setup, source);
  ports.jobs.on('message', (job: Job) => worker.serve(job));
  ports.jobs.on('close', () => worker.close());
}

/** Packed bytes of a reply from so many on are handed over. */
const handedOverBytes = 64 * 1024;

class BackupWorker {
  readonly #ports: WorkerPorts;
  readonly #source: Source;
  readonly #sealer: RecordSealer;
  readonly #known: BlockLookup | undefined;
  readonly #content: ContentStore;
  readonly #fragments: FragmentRouter;
  readonly #scanning: Scanning;
  readonly #control: SharedControl;
  #readBytes = 0;
  #fresh: FreshBlocks[] = [];
  /** The long file that is being read. */
  #longFile: number | undefined;
  /** Job of the last flush. */
  #flushed = 0;

  constructor(ports: WorkerPorts, setup: WorkerSetup, source: Source) {
    this.#ports = ports;
    this.#source = source;
    const control = new SharedControl(setup.control);
    this.#control = control;
    this.#fragments = new FragmentRouter((destinations) => {
      const handOver = (fragment: Uint8Array<ArrayBuffer>) =>
        this.#send({ kind: 'fragment', fragment, destinations }, [fragment.buffer]);
      const spare = () => receiveMessageOnPort(ports.spares)?.message as ArrayBuffer | undefined;
      return new FragmentWriter((bytes) => control.charge(bytes), handOver, spare);
    });
    const routes = new Routes(setup.routes);
    const { secrets, writerNumber } = setup;
    this.#sealer = new RecordSealer({ secrets, writerNumber, everywhere: routes.ready }, control, this.#fragments);
    this.#known = setup.isFirstBackup ? undefined : new BlockLookup(setup.indexPath);
    this.#content = new ContentStore(this.#sealer, this.#known, routes);
    const reading = {
      source,
      content: this.#content,
      gear: createGearChunker(this.#sealer.chunkingKey),
      fixed: createFixedChunker(),
      small: new Uint8Array(bundledBelowBytes),
      onRead: (bytes: number) => this.#count(bytes),
    };
    const selection = new Selection(setup.sets, setup.never);
    this.#scanning = {
      reading,
      records: this.#sealer,
      selection,
      activeSets: setup.activeSets && new Set(setup.activeSets),
      canStore: (sets) => routes.canStore(sets),
      known: new EntryLookup(setup.indexPath),
      packers: { entries: new DirectoryPacker(), rows: new RowPacker(), lost: new LostPacker() },
      listing: undefined,
    };
  }

  serve(job: Job): void {
    try {
      if (job.kind === 'flush') this.#flush(job.job);
      else this.#reply(this.#do(job));
    } catch (error) {
      const isCoded = error instanceof CodedError;
      const message =
        error instanceof Error ? (isCoded ? error.message : (error.stack ?? error.message)) : String(error);
      this.#send({ kind: 'failed', job: job.job, code: isCoded ? error.code : 'internal', message, isBug: !isCoded });
    }
  }

  close(): void {
    this.#known?.close();
    this.#scanning.known.close();
  }

  #do(job: Exclude<Job, FlushJob>): Reply {
    this.#expectNotStopped();
    switch (job.kind) {
      case 'scan':
        return this.#scan(job);
      case 'read':
        return this.#read(job);
      default:
        return this.#finish(job);
    }
  }

  /** Also in the middle of another job: what that one stored so far is handed over with the rest. */
  #flush(job: number): void {
    if (job <= this.#flushed) return;
    this.#content.flush();
    // What was not handed over must not be told of: it would be committed.
    if (!this.#fragments.flush()) throw backupErrors.stopped();
    this.#flushed = job;
    this.#send({ kind: 'progress', readBytes: this.#readBytes });
    this.#readBytes = 0;
    this.#gatherFresh();
    this.#send({
      kind: 'flushed',
      job,
      fresh: this.#fresh.splice(0),
      owned: this.#content.takeOwned(),
      newBytes: this.#content.takeNewBytes(),
    });
  }

  #gatherFresh(): void {
    const packed = this.#content.takeFresh();
    const longFile = this.#longFile;
    if (packed.length > 0) this.#fresh.push({ packed, ...(longFile !== undefined && { longFile }) });
  }

  #scan(job: ScanJob): Reply {
    return this.#inDirectory(job.place, (fd, path) => scanDirectory(this.#scanning, job, fd, path));
  }

  #read(job: ReadJob): Reply {
    return this.#inDirectory(job.place, (directoryFd, path) => {
      const after = emptySourceAttributes();
      const fd = this.#source.openRecorded(directoryFd, job.name, job.attributes, after);
      if (fd === undefined) {
        return { kind: 'read', job: job.job, extents: new Uint8Array(), isChanged: true, after: undefined, xattrs: [] };
      }
      try {
        const isSameBefore = isSameState(job.attributes, after);
        const isCredential = isCredentialPath(joinPath(path, job.name));
        const range = { offset: job.offset, length: job.length };
        const file = { fd, attributes: job.attributes, isCredential, sets: job.sets };
        const extents = this.#storing(job.longFile, () => storeRange(this.#scanning.reading, file, range));
        this.#source.statDescriptor(fd, after);
        const isChanged = !isSameBefore || !isSameState(job.attributes, after);
        const xattrs = job.offset === 0 ? this.#source.attributesOf(fd) : [];
        return { kind: 'read', job: job.job, extents: encodeExtents(extents), isChanged, after, xattrs };
      } finally {
        this.#source.close(fd);
      }
    });
  }

  /** What `store` stores are pieces of a long file, or of none. */
  #storing<T>(longFile: number | undefined, store: () => T): T {
    if (longFile === undefined) return store();
    this.#gatherFresh();
    this.#longFile = longFile;
    try {
      return store();
    } finally {
      this.#gatherFresh();
      this.#longFile = undefined;
    }
  }

  /** Makes the row of what was read, without another look at the name: something else may have it by now. */
  #finish(job: FinishJob): Reply {
    const { attributes, sets, isFuzzy, xattrs } = job;
    const content = makeStream('content', joinExtents(job.extents.map(decodeExtents)), this.#sealer);
    const streams = [content, ...makeXattrStream(xattrs, this.#content, this.#sealer, { uid: attributes.uid, sets })];
    const owner = this.#source.ownerNames(attributes.uid, attributes.gid);
    const linkGroup = job.linkGroup === undefined ? {} : { linkGroup: job.linkGroup };
    const row = makeRow({ attributes, owner, sets, streams, isFuzzy, ...linkGroup });
    return { kind: 'finished', job: job.job, row: encodeRow(row) };
  }

  #inDirectory<T>(place: DirectoryPlace, work: (fd: number, path: Uint8Array) => T): T {
    return withPlace(this.#source, place, (fd) => work(fd, pathOfPlace(place)));
  }

  #expectNotStopped(): void {
    if (this.#control.isStopped) throw backupErrors.stopped();
  }

  #count(bytes: number): void {
    this.#expectNotStopped();
    this.#readBytes += bytes;
    if (this.#control.flushJob > this.#flushed) this.#flush(this.#control.flushJob);
    if (this.#readBytes < 8 * 1024 * 1024) return;
    this.#send({ kind: 'progress', readBytes: this.#readBytes });
    this.#readBytes = 0;
  }

  /** Hands over what a folder of very many names makes; small arrays are cheaper to copy than to give away. */
  #reply(reply: Reply): void {
    const packed = reply.kind === 'scanned' ? [reply.rows, reply.lost, ...(reply.entries ? [reply.entries] : [])] : [];
    const large = packed.filter(
      ({ byteLength, buffer }) => byteLength > handedOverBytes && byteLength === buffer.byteLength,
    );
    this.#send(
      reply,
      large.map(({ buffer }) => buffer as ArrayBuffer),
    );
  }

  #send(message: FromWorker, transfer: ArrayBuffer[] = []): void {
    this.#ports.jobs.postMessage(message, transfer);
  }
}

function encodeExtents(extents: readonly Extent[]): Uint8Array {
  const writer = new ByteWriter(extents.length * extentBytes);
  for (const extent of extents) writeExtent(writer, extent);
  return writer.written();
}
