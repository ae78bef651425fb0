import { Agent, request } from 'node:http';

/** A request as bytes, with none of the manners of `fetch`. */
export type RawRequest = {
  readonly method: string;
  /** Path and query, sent as they are. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
};

/** What came back. */
export type RawReply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly json: unknown;
};

const agent = new Agent({ keepAlive: true, maxSockets: 8 });

/** Sends a request to a server on loopback; an answer that takes longer than ten seconds is a hang and rejects. */
export function sendRaw(baseUrl: string, wanted: RawRequest): Promise<RawReply> {
  const { hostname, port } = new URL(baseUrl);
  const { method, path, headers = {}, body } = wanted;
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  return new Promise((resolve, reject) => {
    const sent = request({ agent, hostname, port, method, path, headers: { ...length, ...headers } }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.on('error', reject);
      reply.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers, text, json: parseJson(text) });
      });
    });
    sent.setTimeout(10_000, () => sent.destroy(new Error(`no answer to ${method} ${path.slice(0, 200)}`)));
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Ends the connections kept open between requests. */
export function endRawConnections(): void {
  agent.destroy();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
