import path from 'node:path';
import { defineErrors } from '@holdfast/base';
import { problemsInWords } from '@holdfast/contract';
import { z } from 'zod';
import { parseWitnesses, type Witness } from './modules/witnesses/index.ts';
import { parseNetwork } from './platform/egress.ts';
import { KmsSetting, type KmsSettings } from './platform/kms-settings.ts';
import { logLevels } from './platform/log.ts';

/** What can be wrong with the settings. */
export const configErrors = defineErrors('config', {
  invalid: ['invalid', 'A setting is not usable'],
});

const HostPort = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'it must be HOST:PORT, such as 127.0.0.1:8443')
  .transform((text) => {
    const [, host = '', port = ''] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(text) ?? [];
    return { host, port: Number(port) };
  })
  .refine(({ port }) => port <= 65_535, 'it must have a port of 65535 or less');

const Networks = z
  .string()
  .transform((text) =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  )
  .refine(
    (items) => items.every(isNetwork),
    'it must be addresses or networks such as 10.0.0.0/8, separated by commas',
  );

const PublicUrl = z
  .url({ protocol: /^https$/, error: 'it must be an address such as https://backup.example.org' })
  .refine(
    (text) => !URL.canParse(text) || originOf(text) === text.replace(/\/$/, ''),
    'it must have no path, user or query',
  )
  .transform(originOf);

function originOf(text: string): string {
  return URL.canParse(text) ? new URL(text).origin : '';
}

const Witnesses = z.string().transform((text, ctx) => {
  const witnesses = parseWitnesses(text);
  if (witnesses) return witnesses;
  const message =
    'it must be up to 8 pairs of address and key, such as https://witness.example.org NAME+ID+KEY, separated by commas';
  ctx.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const DatabaseUrl = z.url({
  protocol: /^postgres(ql)?$/,
  error: 'it must be an address such as postgresql://user:password@host/database',
});

const Environment = z
  .object({
    /** Folder of all state. */
    HOLDFAST_HOME: z.string().min(1).default('.holdfast'),
    /**
     * A PostgreSQL (15 or newer) to be used instead of the embedded one. Every role's login replaces its user. Elsewhere
     * than on this machine it is reached by TLS and must prove its name, unless `sslmode` says otherwise; `sslrootcert`
     * names the file of its CA.
     */
    HOLDFAST_DATABASE_URL: DatabaseUrl.optional(),
    /** Where people and agents reach this server; `https://localhost:PORT` when unset. */
    HOLDFAST_PUBLIC_URL: PublicUrl.optional(),
    /** Address of the public listener. */
    HOLDFAST_LISTEN: HostPort.default({ host: '127.0.0.1', port: 8443 }),
    /** Address for probes and Prometheus; a socket in HOLDFAST_HOME when unset. Never let the world reach it. */
    HOLDFAST_PRIVATE_LISTEN: HostPort.optional(),
    /** Proxies whose forwarded headers count. */
    HOLDFAST_TRUSTED_PROXIES: Networks.default([]),
    /** Certificate chain and key (PEM) instead of the local CA's. */
    HOLDFAST_TLS_CERT_FILE: z.string().min(1).optional(),
    HOLDFAST_TLS_KEY_FILE: z.string().min(1).optional(),
    /**
     * Who cosigns the heads of key logs (C2SP tlog-witness): submission prefix and key of each. An address may lie in the
     * organisation's own networks, where plain http:// will do.
     */
    HOLDFAST_WITNESSES: Witnesses.default([]),
    /** CAs (PEM) that witnesses are trusted by, instead of the well-known ones. */
    HOLDFAST_WITNESS_CA_FILE: z.string().min(1).optional(),
    HOLDFAST_LOG_LEVEL: z.enum(logLevels).default('info'),
    /** Where the keys are that wrap all other secrets: `file` is one below HOLDFAST_HOME. */
    HOLDFAST_KMS: KmsSetting.default({ kind: 'file', filePath: undefined }),
    /**
     * A file with the passphrase of the key file, the PIN of the token or the access token of the Vault; `-` is standard input.
     * For a Vault `{role}` in its name stands for each role, which then has a token of its own.
     */
    HOLDFAST_KMS_SECRET_FILE: z.string().min(1).optional(),
    /** Set by systemd for a unit with credentials; the one called holdfast-kms serves where no file is named. */
    CREDENTIALS_DIRECTORY: z.string().min(1).optional(),
    /** Where the modules of makers of tokens find their settings: SoftHSM2, YubiHSM 2, Luna, Utimaco. The keystore's module gets them, too. */
    SOFTHSM2_CONF: z.string().min(1).optional(),
    YUBIHSM_PKCS11_CONF: z.string().min(1).optional(),
    ChrystokiConfigurationPath: z.string().min(1).optional(),
    CS_PKCS11_R3_CFG: z.string().min(1).optional(),
  })
  .refine((env) => (env.HOLDFAST_TLS_CERT_FILE === undefined) === (env.HOLDFAST_TLS_KEY_FILE === undefined), {
    path: ['HOLDFAST_TLS_KEY_FILE'],
    message: 'it must be set together with HOLDFAST_TLS_CERT_FILE: either both or neither',
  });

/** The settings of a server; what each means stands at its environment variable above. */
export type CloudConfig = {
  /** Absolute. */
  readonly homeDir: string;
  readonly databaseUrl: string | undefined;
  /** Without a final slash. */
  readonly publicUrl: string | undefined;
  readonly listen: { readonly host: string; readonly port: number };
  readonly privateListen: { readonly host: string; readonly port: number } | undefined;
  readonly trustedProxies: readonly string[];
  readonly certificateFiles: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly witnesses: readonly Witness[];
  readonly witnessCaFile: string | undefined;
  readonly logLevel: (typeof logLevels)[number];
  readonly kms: KmsSettings;
  /** Absolute, or `-`. */
  readonly kmsSecretFile: string | undefined;
  readonly credentialsDir: string | undefined;
  /** The variables that are read by the module of a token. */
  readonly tokenEnvironment: Readonly<Record<string, string>>;
};

/**
 * Reads the settings from the environment; nothing else reads it.
 * @throws config.invalid with every variable at fault.
 */
export function readCloudConfig(env: Readonly<Record<string, string | undefined>> = process.env): CloudConfig {
  // An empty variable is one that is not set: that is how compose files and units leave things out.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = Environment.safeParse(given);
  if (!parsed.success) {
    const problems = problemsInWords(parsed.error, given);
    throw configErrors.invalid({ problems: problems.map(({ field, problem }) => `${field}: ${problem}`) });
  }
  const read = parsed.data;
  const { HOLDFAST_TLS_CERT_FILE: certFile, HOLDFAST_TLS_KEY_FILE: keyFile } = read;
  const { HOLDFAST_KMS_SECRET_FILE: secretFile } = read;
  return {
    homeDir: path.resolve(read.HOLDFAST_HOME),
    databaseUrl: read.HOLDFAST_DATABASE_URL,
    publicUrl: read.HOLDFAST_PUBLIC_URL,
    listen: read.HOLDFAST_LISTEN,
    privateListen: read.HOLDFAST_PRIVATE_LISTEN,
    trustedProxies: read.HOLDFAST_TRUSTED_PROXIES,
    certificateFiles:
      certFile && keyFile ? { certFile: path.resolve(certFile), keyFile: path.resolve(keyFile) } : undefined,
    witnesses: read.HOLDFAST_WITNESSES,
    witnessCaFile:
      read.HOLDFAST_WITNESS_CA_FILE === undefined ? undefined : path.resolve(read.HOLDFAST_WITNESS_CA_FILE),
    logLevel: read.HOLDFAST_LOG_LEVEL,
    kms: read.HOLDFAST_KMS,
    kmsSecretFile: secretFile === undefined || secretFile === '-' ? secretFile : path.resolve(secretFile),
    credentialsDir: read.CREDENTIALS_DIRECTORY,
    tokenEnvironment: tokenEnvironmentOf(read),
  };
}

function tokenEnvironmentOf(read: z.infer<typeof Environment>): Readonly<Record<string, string>> {
  const { SOFTHSM2_CONF, YUBIHSM_PKCS11_CONF, ChrystokiConfigurationPath, CS_PKCS11_R3_CFG } = read;
  const set = { SOFTHSM2_CONF, YUBIHSM_PKCS11_CONF, ChrystokiConfigurationPath, CS_PKCS11_R3_CFG };
  return Object.fromEntries(
    Object.entries(set).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** The settings as they may be shown: without the password of the database, and witnesses as they are written. */
export function redactConfig(config: CloudConfig): Omit<CloudConfig, 'witnesses'> & { witnesses: readonly string[] } {
  const shown = { ...config, witnesses: config.witnesses.map(({ url, keyText }) => `${url} ${keyText}`) };
  if (config.databaseUrl === undefined) return shown;
  const url = new URL(config.databaseUrl);
  if (url.password !== '') url.password = '***';
  return { ...shown, databaseUrl: url.href };
}

function isNetwork(text: string): boolean {
  try {
    parseNetwork(text);
    return true;
  } catch {
    return false;
  }
}
