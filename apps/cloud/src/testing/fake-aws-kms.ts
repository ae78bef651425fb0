import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Somebody whose signatures the service takes. */
export type AwsPrincipal = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** What the policies in force let them do, by the name of the call and its encryption context. */
  readonly mayDo: (call: string, context: Readonly<Record<string, string>>) => boolean;
};

type Key = { readonly arn: string; readonly bytes: Buffer; state: 'Enabled' | 'Disabled' | 'PendingDeletion' };

/** What the service does with the next call instead of answering it. */
export type AwsFault =
  | { readonly status: number; readonly type: string }
  /** It closes the connection, or never answers. */
  | 'drop'
  | 'hang';

const REGION = 'eu-central-1';
const SKEW_MS = 5 * 60_000;
const ID_BYTES = 36;

/**
 * A service that speaks the protocol of AWS KMS (JSON 1.1 over HTTP) as far as Holdfast uses it, from its public reference. It checks
 * signatures (Signature Version 4), their time, session tokens and policies; keys have states. It is no AWS: what differs there is not found here.
 */
export class FakeAwsKms {
  readonly region = REGION;
  readonly principals = new Map<string, AwsPrincipal>();
  readonly keys = new Map<string, Key>();
  /** Used up one by one. */
  readonly faults: AwsFault[] = [];
  /** Calls by name, as they came. */
  readonly calls: { readonly name: string; readonly principal: string }[] = [];
  /** How many calls it takes until a new key is known. */
  hiddenFor = 0;
  readonly #server = createServer((request, reply) => void this.#answer(request, reply));
  readonly #hidden = new Map<string, number>();

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, reply: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const fault = this.faults.shift();
    if (fault === 'hang') return;
    if (fault === 'drop') return void request.socket.destroy();
    const send = (status: number, body: object) =>
      reply.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body));
    try {
      if (fault) throw new Refusal(fault.type, fault.status);
      send(200, this.#perform(request, Buffer.concat(chunks)));
    } catch (error) {
      if (error instanceof Refusal) send(error.status, { __type: error.type, message: error.type });
      else send(500, { __type: 'KMSInternalException', message: String(error) });
    }
  }

  #perform(request: IncomingMessage, body: Buffer): object {
    const principal = this.#authenticate(request, body);
    const name = String(request.headers['x-amz-target']).replace('TrentService.', '');
    this.calls.push({ name, principal: principal.accessKeyId });
    const input = JSON.parse(body.toString()) as Input;
    if (!principal.mayDo(name, input.EncryptionContext ?? {})) throw new Refusal('AccessDeniedException');
    if (name === 'CreateKey') return this.#createKey(input);
    if (name === 'Decrypt') return this.#decrypt(input);
    if (name === 'Encrypt') return this.#encrypt(input);
    if (name === 'ScheduleKeyDeletion') return this.#scheduleDeletion(input);
    throw new Refusal('UnknownOperationException');
  }

  /** Signature Version 4, as its reference describes it. */
  #authenticate({ method, headers, url }: IncomingMessage, body: Buffer): AwsPrincipal {
    const scope = readAuthorization(headers.authorization);
    const principal = this.principals.get(scope.accessKeyId);
    if (!principal) throw new Refusal('UnrecognizedClientException');
    if (headers['x-amz-security-token'] !== principal.sessionToken) throw new Refusal('ExpiredTokenException');
    const signed = scope.names.split(';');
    const needed = ['host', 'x-amz-date', 'x-amz-target', ...(principal.sessionToken ? ['x-amz-security-token'] : [])];
    const time = String(headers['x-amz-date']);
    if (!needed.every((each) => signed.includes(each)) || !isInScope(scope, time))
      throw new Refusal('InvalidSignatureException');
    const lines = signed.map((each) => `${each}:${String(headers[each]).trim().replaceAll(/ +/g, ' ')}\n`);
    const canonical = [method, url, '', lines.join(''), scope.names, sha256(body)].join('\n');
    if (signatureOf(scope, { time, canonical }, principal.secretAccessKey) !== scope.signature)
      throw new Refusal('InvalidSignatureException');
    return principal;
  }

  #createKey({ KeySpec: spec, KeyUsage: usage }: Input): object {
    if (spec !== 'SYMMETRIC_DEFAULT' || usage !== 'ENCRYPT_DECRYPT') throw new Refusal('ValidationException');
    const keyId = randomUUID();
    const arn = `arn:aws:kms:${REGION}:111122223333:key/${keyId}`;
    this.keys.set(arn, { arn, bytes: randomBytes(32), state: 'Enabled' });
    this.#hidden.set(arn, this.hiddenFor);
    return { KeyMetadata: { Arn: arn, KeyId: keyId, KeyState: 'Enabled' } };
  }

  #key(arn: string | undefined): Key {
    const left = this.#hidden.get(arn ?? '') ?? 0;
    this.#hidden.set(arn ?? '', left - 1);
    const key = left > 0 ? undefined : this.keys.get(arn ?? '');
    if (!key) throw new Refusal('NotFoundException');
    return key;
  }

  #usable(arn: string | undefined): Key {
    const key = this.#key(arn);
    if (key.state === 'Disabled') throw new Refusal('DisabledException');
    if (key.state === 'PendingDeletion') throw new Refusal('KMSInvalidStateException');
    return key;
  }

  #encrypt({ KeyId: arn, Plaintext: text = '', EncryptionContext: context = {} }: Input): object {
    const key = this.#usable(arn);
    const plain = Buffer.from(text, 'base64');
    if (plain.length < 1 || plain.length > 4096) throw new Refusal('ValidationException');
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce).setAAD(canonicalContext(context));
    const sealed = [idOf(key), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()];
    return { CiphertextBlob: Buffer.concat(sealed).toString('base64'), KeyId: key.arn };
  }

  #decrypt({ KeyId: arn, CiphertextBlob: text = '', EncryptionContext: context = {} }: Input): object {
    const blob = Buffer.from(text, 'base64');
    const named = [...this.keys.values()].find((key) => idOf(key).equals(blob.subarray(0, ID_BYTES)));
    if (!named || blob.length < ID_BYTES + 28) throw new Refusal('InvalidCiphertextException');
    const key = this.#usable(arn ?? named.arn);
    if (key !== named) throw new Refusal('IncorrectKeyException');
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, blob.subarray(ID_BYTES, ID_BYTES + 12));
    decipher.setAAD(canonicalContext(context)).setAuthTag(blob.subarray(-16));
    try {
      const plain = Buffer.concat([decipher.update(blob.subarray(ID_BYTES + 12, -16)), decipher.final()]);
      return { Plaintext: plain.toString('base64'), KeyId: key.arn };
    } catch {
      throw new Refusal('InvalidCiphertextException');
    }
  }

  #scheduleDeletion({ KeyId: arn, PendingWindowInDays: days = 30 }: Input): object {
    const key = this.#key(arn);
    if (days < 7 || days > 30) throw new Refusal('ValidationException');
    if (key.state === 'PendingDeletion') throw new Refusal('KMSInvalidStateException');
    key.state = 'PendingDeletion';
    return { KeyId: key.arn, KeyState: key.state };
  }
}

type Input = {
  readonly KeyId?: string;
  readonly Plaintext?: string;
  readonly CiphertextBlob?: string;
  readonly EncryptionContext?: Readonly<Record<string, string>>;
  readonly KeySpec?: string;
  readonly KeyUsage?: string;
  readonly PendingWindowInDays?: number;
};

type Scope = Readonly<Record<'accessKeyId' | 'date' | 'region' | 'service' | 'names' | 'signature', string>>;

const authorization =
  /^AWS4-HMAC-SHA256 Credential=(?<accessKeyId>[^/]+)\/(?<date>\d{8})\/(?<region>[^/]+)\/(?<service>[^/]+)\/aws4_request, ?SignedHeaders=(?<names>[^,]+), ?Signature=(?<signature>[0-9a-f]{64})$/;

function readAuthorization(text = ''): Scope {
  const groups = authorization.exec(text)?.groups;
  if (!groups) throw new Refusal('MissingAuthenticationTokenException');
  return groups as Scope;
}

function isInScope({ date, region, service }: Scope, time: string): boolean {
  const at = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  return region === REGION && service === 'kms' && time.startsWith(date) && Math.abs(Date.now() - at) < SKEW_MS;
}

type Signed = { readonly time: string; readonly canonical: string };

function signatureOf({ date, region, service }: Scope, { time, canonical }: Signed, secretAccessKey: string): string {
  const text = ['AWS4-HMAC-SHA256', time, `${date}/${region}/${service}/aws4_request`, sha256(canonical)].join('\n');
  let key: Buffer | string = `AWS4${secretAccessKey}`;
  for (const part of [date, region, service, 'aws4_request']) key = hmac(key, part);
  return hmac(key, text).toString('hex');
}

/** An error as the service names it. */
class Refusal extends Error {
  readonly type: string;
  readonly status: number;

  constructor(type: string, status = 400) {
    super(type);
    this.type = type;
    this.status = status;
  }
}

function idOf({ arn }: Key): Buffer {
  return Buffer.from(arn.slice(-ID_BYTES));
}

function canonicalContext(context: Readonly<Record<string, string>>): Buffer {
  return Buffer.from(JSON.stringify(Object.entries(context).toSorted(([a], [b]) => (a < b ? -1 : 1))));
}

function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
