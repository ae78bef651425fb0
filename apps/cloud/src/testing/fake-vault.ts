import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** What a policy lets a token do: `create`, `read` or `update` at a path such as `transit/encrypt/NAME`. */
export type MayDo = (capability: 'create' | 'read' | 'update', path: string) => boolean;

type Key = {
  readonly exportable: boolean;
  readonly allow_plaintext_backup: boolean;
  readonly derived: boolean;
  readonly type: string;
  /** From version 1 on; undefined where it was trimmed. */
  readonly versions: (Buffer | undefined)[];
  least: { decryption: number; encryption: number };
};

/** What the service does with the next call instead of answering it. */
export type VaultFault = { readonly status: number; readonly reason: string } | 'drop' | 'hang';

/** How one is run. */
export type FakeVaultOptions = {
  /** With TLS. */
  readonly certificate?: { readonly cert: string; readonly key: string };
  /** The namespace that requests must name. */
  readonly namespace?: string;
};

/**
 * A service that speaks the protocol of Vault's transit engine as far as Holdfast uses it, from its public reference. It checks tokens,
 * their policies by path and the namespace; keys have versions, least versions and are trimmed. It is no Vault: what differs there is not found here.
 */
export class FakeVault {
  readonly tokens = new Map<string, MayDo>();
  readonly keys = new Map<string, Key>();
  /** Used up one by one. */
  readonly faults: VaultFault[] = [];
  /** `TOKEN METHOD PATH` of each call, as they came. */
  readonly calls: string[] = [];
  isSealed = false;
  /** As versions before 1.13, which know no associated data and say nothing of it. */
  ignoresAssociatedData = false;
  readonly #options: FakeVaultOptions;
  readonly #server;

  constructor(options: FakeVaultOptions = {}) {
    this.#options = options;
    const listener: RequestListener = (request, reply) => void this.#answer(request, reply);
    this.#server = options.certificate ? createSecureServer(options.certificate, listener) : createServer(listener);
  }

  get address(): string {
    const { port } = this.#server.address() as AddressInfo;
    return this.#options.certificate ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
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
      reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    try {
      if (fault) throw new Refusal(fault.status, fault.reason);
      const text = Buffer.concat(chunks).toString();
      send(200, { data: this.#perform(request, text === '' ? {} : (JSON.parse(text) as Input)) });
    } catch (error) {
      if (error instanceof Refusal) send(error.status, { errors: [error.message] });
      else send(500, { errors: ['internal error'] });
    }
  }

  // A closed list of calls reads best in one place.
  // oxlint-disable-next-line eslint/complexity
  #perform({ method, headers, url = '' }: IncomingMessage, input: Input): object {
    const path = url.replace(/^\/v1\//, '');
    this.calls.push(`${String(headers['x-vault-token'])} ${method} ${path}`);
    const mayDo = this.#authenticate(headers);
    const [, verb = '', name = '', action] =
      /^transit\/(keys|encrypt|decrypt)\/([\w-]+)(?:\/(rotate|config|trim))?$/.exec(path) ?? [];
    if (verb === '') throw new Refusal(404, '');
    const key = this.keys.get(name);
    const capability = method === 'GET' ? 'read' : !key && mayDo('create', path) ? 'create' : 'update';
    if (!mayDo(capability, path)) throw new Refusal(403, '1 error occurred:\n\t* permission denied\n\n');
    if (verb !== 'keys') {
      const found = key ?? (capability === 'create' ? this.#create(name, {}) : undefined);
      return this.#use(found, verb, input);
    }
    if (method === 'GET') return factsOf(name, key);
    if (action === undefined) return factsOf(name, key ?? this.#create(name, input));
    if (!key) throw new Refusal(400, 'no existing key named that could be found');
    return changeKey(name, key, action, input);
  }

  #authenticate(headers: IncomingMessage['headers']): MayDo {
    if (this.isSealed) throw new Refusal(503, 'Vault is sealed');
    const mayDo = this.tokens.get(String(headers['x-vault-token']));
    if (!mayDo || headers['x-vault-namespace'] !== this.#options.namespace) throw new Refusal(403, 'permission denied');
    return mayDo;
  }

  #use(key: Key | undefined, verb: string, input: Input): object {
    if (!key) throw new Refusal(400, 'encryption key not found');
    return verb === 'encrypt' ? this.#encrypt(key, input) : this.#decrypt(key, input);
  }

  #create(name: string, { type = 'aes256-gcm96', exportable = false, ...input }: Input): Key {
    const { allow_plaintext_backup: isBackedUp = false, derived = false } = input;
    const facts = { type, exportable, allow_plaintext_backup: isBackedUp, derived };
    const key: Key = { ...facts, versions: [randomBytes(32)], least: { decryption: 1, encryption: 0 } };
    this.keys.set(name, key);
    return key;
  }

  #associated({ associated_data: data = '' }: Input): Buffer {
    return Buffer.from(this.ignoresAssociatedData ? '' : data, 'base64');
  }

  #encrypt(key: Key, input: Input): object {
    if (input.plaintext === undefined) throw new Refusal(400, 'missing plaintext to encrypt');
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key.versions.at(-1)!, nonce).setAAD(this.#associated(input));
    const plain = Buffer.from(input.plaintext, 'base64');
    const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    const version = key.versions.length;
    return { ciphertext: `vault:v${version}:${sealed.toString('base64')}`, key_version: version };
  }

  #decrypt(key: Key, input: Input): object {
    const [, digits, text = ''] = /^vault:v(\d+):(.*)$/.exec(input.ciphertext ?? '') ?? [];
    if (digits === undefined) throw new Refusal(400, 'invalid ciphertext: no prefix');
    const version = Number(digits);
    if (version > key.versions.length) throw new Refusal(400, 'invalid ciphertext: version is too new');
    if (version < key.least.decryption)
      throw new Refusal(400, 'ciphertext or signature version is disallowed by policy (too old)');
    const sealed = Buffer.from(text, 'base64');
    if (sealed.length < 28) throw new Refusal(400, 'invalid ciphertext length');
    const decipher = createDecipheriv('aes-256-gcm', key.versions[version - 1]!, sealed.subarray(0, 12));
    decipher.setAAD(this.#associated(input)).setAuthTag(sealed.subarray(-16));
    try {
      const plain = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
      return { plaintext: plain.toString('base64') };
    } catch {
      throw new Refusal(400, 'cipher: message authentication failed');
    }
  }
}

function factsOf(name: string, key: Key | undefined): object {
  if (!key) throw new Refusal(404, '');
  const { versions, least, ...facts } = key;
  const numbers = versions.map((_, index) => index + 1).filter((version) => version >= least.decryption);
  const keys = Object.fromEntries(numbers.map((version) => [String(version), 1_700_000_000 + version]));
  return { name, ...facts, keys, latest_version: versions.length, min_decryption_version: least.decryption };
}

function changeKey(name: string, key: Key, action: string, input: Input): object {
  if (action === 'rotate') key.versions.push(randomBytes(32));
  if (action === 'config') {
    const { min_decryption_version: decryption = key.least.decryption, min_encryption_version: encryption } = input;
    const least = { decryption, encryption: encryption ?? key.least.encryption };
    if (decryption > key.versions.length || least.encryption > key.versions.length)
      throw new Refusal(400, 'cannot set a minimum version above the latest');
    key.least = least;
  }
  if (action === 'trim') {
    const { min_available_version: available = 0 } = input;
    if (key.least.encryption === 0) throw new Refusal(400, 'minimum encryption version is not set');
    if (available < 1 || available > Math.min(key.least.encryption, key.least.decryption))
      throw new Refusal(400, 'minimum available version cannot be greater');
    key.versions.fill(undefined, 0, available - 1);
  }
  return factsOf(name, key);
}

type Input = {
  readonly plaintext?: string;
  readonly ciphertext?: string;
  readonly associated_data?: string;
  readonly type?: string;
  readonly exportable?: boolean;
  readonly allow_plaintext_backup?: boolean;
  readonly derived?: boolean;
  readonly min_decryption_version?: number;
  readonly min_encryption_version?: number;
  readonly min_available_version?: number;
};

/** An answer with a status of its own. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}
