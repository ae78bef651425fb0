import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { CodedError } from '@holdfast/base';
import { formatWitnessKey } from '../cosignature.ts';
import { openCheckpoint } from '../checkpoint.ts';
import { emptyTree, rootOf, type Hash } from '../merkle-log.ts';
import { verifyConsistency } from '../merkle-proof.ts';
import { parseVerifierKey, type VerifierKey } from '../signed-note.ts';
import { newCosigner, type Cosigner } from './cosigner.ts';

/** What a witness answers. */
export type WitnessReply = {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
};

/** How a witness for tests is made. */
export type TestWitnessOptions = {
  readonly name?: string;
  readonly nowMs?: () => number;
  /** Certificate and key (PEM): it listens by TLS then. */
  readonly tls?: { readonly cert: string; readonly key: string };
};

type Lie = WitnessReply | 'never' | undefined;
type Known = { readonly treeSize: number; readonly root: Hash };

/**
 * A witness that does what C2SP tlog-witness asks of one, over real HTTP or TLS on loopback; a test may have it lie.
 *
 * Written from that document alone, and not from what asks it.
 */
export class TestWitness {
  readonly cosigner: Cosigner;
  /** What it was sent, each whole body in its order. */
  readonly asked: string[] = [];
  /** Answers in the place of the genuine one, where it gives something; `never` lets who asked wait. */
  lie: (body: string) => Lie | Promise<Lie> = () => undefined;
  readonly #keys = new Map<string, VerifierKey>();
  readonly #known = new Map<string, Known>();
  readonly #server: http.Server;
  readonly #nowMs: () => number;

  private constructor({ name = 'witness.example/w1', nowMs = Date.now, tls }: TestWitnessOptions) {
    this.cosigner = newCosigner(name);
    this.#nowMs = nowMs;
    const answer = (request: IncomingMessage, reply: ServerResponse) => void this.#serve(request, reply);
    this.#server = tls ? https.createServer(tls, answer) : http.createServer(answer);
  }

  static async start(options: TestWitnessOptions = {}): Promise<TestWitness> {
    const witness = new TestWitness(options);
    await witness.listen();
    return witness;
  }

  /** Begins to answer, at the port of before where it had one. */
  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
  }

  /** Ends it, with all connections. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Its submission prefix. */
  get url(): string {
    const scheme = this.#server instanceof https.Server ? 'https' : 'http';
    return `${scheme}://127.0.0.1:${this.port}/prefix`;
  }

  /** Its key, as it is handed on. */
  get key(): string {
    return formatWitnessKey(this.cosigner.key);
  }

  /** Accepts heads of a log. */
  trust(origin: string, verifier: string): void {
    this.#keys.set(origin, parseVerifierKey(verifier));
  }

  /** The size of the log that it cosigned last; 0 before the first. */
  sizeOf(origin: string): number {
    return this.#known.get(origin)?.treeSize ?? 0;
  }

  /** Takes something for the newest head of a log. */
  remember(origin: string, known: Known): void {
    this.#known.set(origin, known);
  }

  async #serve(request: IncomingMessage, reply: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const isRight = request.method === 'POST' && request.url === '/prefix/add-checkpoint';
    this.asked.push(body);
    const answer = (await this.lie(body)) ?? (isRight ? this.judge(body) : { status: 405, body: '' });
    if (answer === 'never') return;
    reply.writeHead(answer.status, answer.headers).end(answer.body);
  }

  /** What a genuine witness answers to `add-checkpoint`; what it accepts it knows from then on. */
  judge(body: string): WitnessReply {
    const asked = parseRequest(body);
    if (!asked) return { status: 400, body: 'bad request\n' };
    const { oldSize, proof, note } = asked;
    const origin = note.split('\n', 1)[0]!;
    const key = this.#keys.get(origin);
    if (!key) return { status: 404, body: 'unknown log\n' };
    let head: Known;
    try {
      head = openCheckpoint(note, origin, [key]);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      return { status: error.code === 'note.malformed' ? 400 : 403, body: 'not signed by the log\n' };
    }
    if (oldSize > head.treeSize) return { status: 400, body: 'it shrinks\n' };
    const known = this.#known.get(origin) ?? { treeSize: 0, root: rootOf(emptyTree) };
    const isOther = head.treeSize === known.treeSize && Buffer.compare(head.root, known.root) !== 0;
    if (oldSize !== known.treeSize || isOther)
      return { status: 409, body: `${known.treeSize}\n`, headers: { 'content-type': 'text/x.tlog.size' } };
    const claim = { fromSize: oldSize, fromRoot: known.root, toSize: head.treeSize, toRoot: head.root };
    if (!verifyConsistency(claim, proof)) return { status: 422, body: 'not consistent\n' };
    this.#known.set(origin, head);
    return { status: 200, body: this.cosigner.line(note, new Date(this.#nowMs())) };
  }
}

function parseRequest(body: string) {
  const split = body.indexOf('\n\n');
  const [first, ...proof] = body.slice(0, split).split('\n');
  const oldSize = /^old (0|[1-9]\d*)$/.exec(first ?? '')?.[1];
  if (split < 0 || oldSize === undefined || proof.length > 63) return undefined;
  if (!proof.every((line) => /^[A-Za-z0-9+/]{43}=$/.test(line))) return undefined;
  const hashes = proof.map((line) => new Uint8Array(Buffer.from(line, 'base64')));
  return { oldSize: Number(oldSize), proof: hashes, note: body.slice(split + 2) };
}
