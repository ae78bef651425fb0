import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { formatWitnessKey } from '@holdfast/trust';
import { newCosigner } from '@holdfast/trust/testing';
import { readCloudConfig, redactConfig } from './config.ts';

const [witnessKey, otherKey] = [
  formatWitnessKey(newCosigner('w.example/1').key),
  formatWitnessKey(newCosigner('w.example/2').key),
];

test('without any variable the settings are those of one machine', () => {
  const config = readCloudConfig({});
  assert.deepEqual(config, {
    homeDir: path.resolve('.holdfast'),
    databaseUrl: undefined,
    publicUrl: undefined,
    listen: { host: '127.0.0.1', port: 8443 },
    privateListen: undefined,
    trustedProxies: [],
    certificateFiles: undefined,
    witnesses: [],
    witnessCaFile: undefined,
    logLevel: 'info',
    kms: { kind: 'file', filePath: undefined },
    kmsSecretFile: undefined,
    credentialsDir: undefined,
    tokenEnvironment: {},
  });
  assert.deepEqual(readCloudConfig({ HOLDFAST_LISTEN: '', HOLDFAST_LOG_LEVEL: '' }), config);
});

test('every bad value is refused by the name of its variable, good ones are read', () => {
  const refused = [
    ['HOLDFAST_LISTEN', '8443'],
    ['HOLDFAST_LISTEN', 'localhost:65536'],
    ['HOLDFAST_LISTEN', '::1:8443'],
    ['HOLDFAST_PUBLIC_URL', 'http://backup.example.com'],
    ['HOLDFAST_PUBLIC_URL', 'https://backup.example.com/path'],
    ['HOLDFAST_PUBLIC_URL', 'backup.example.com'],
    ['HOLDFAST_TRUSTED_PROXIES', '10.0.0.0/8,proxy.example.com'],
    ['HOLDFAST_TRUSTED_PROXIES', '10.0.0.0/33'],
    ['HOLDFAST_DATABASE_URL', 'mysql://db/holdfast'],
    ['HOLDFAST_LOG_LEVEL', 'loud'],
    ['HOLDFAST_TLS_KEY_FILE', 'key.pem'],
    ['HOLDFAST_WITNESSES', 'https://w.example'],
    ['HOLDFAST_WITNESSES', witnessKey],
    ['HOLDFAST_WITNESSES', `ftp://w.example ${witnessKey}`],
    ['HOLDFAST_WITNESSES', `https://user@w.example ${witnessKey}`],
    ['HOLDFAST_WITNESSES', `https://w.example?a=b ${witnessKey}`],
    ['HOLDFAST_WITNESSES', `https://w.example ${witnessKey.slice(0, -4)}`],
    ['HOLDFAST_WITNESSES', `https://w.example ${witnessKey} more`],
    ['HOLDFAST_WITNESSES', `https://w.example ${witnessKey},https://other.example ${witnessKey}`],
    ['HOLDFAST_KMS', 'hsm'],
  ] as const;
  for (const [name, value] of refused) {
    assert.throws(
      () => readCloudConfig({ [name]: value }),
      (error: { code?: string; details?: { problems: string[] } }) =>
        error.code === 'config.invalid' && error.details!.problems.some((problem) => problem.startsWith(name)),
      `${name}=${value}`,
    );
  }
  const accepted = [
    ['HOLDFAST_LISTEN', '0.0.0.0:443', 'listen', { host: '0.0.0.0', port: 443 }],
    ['HOLDFAST_LISTEN', '[::1]:8443', 'listen', { host: '::1', port: 8443 }],
    ['HOLDFAST_PRIVATE_LISTEN', 'localhost:0', 'privateListen', { host: 'localhost', port: 0 }],
    ['HOLDFAST_PUBLIC_URL', 'https://backup.example.com/', 'publicUrl', 'https://backup.example.com'],
    ['HOLDFAST_PUBLIC_URL', 'https://backup.example.com:444', 'publicUrl', 'https://backup.example.com:444'],
    ['HOLDFAST_TRUSTED_PROXIES', '10.0.0.0/8, ::1', 'trustedProxies', ['10.0.0.0/8', '::1']],
    ['HOLDFAST_TRUSTED_PROXIES', '192.168.7.1', 'trustedProxies', ['192.168.7.1']],
    ['HOLDFAST_DATABASE_URL', 'postgresql://u:p@db/x', 'databaseUrl', 'postgresql://u:p@db/x'],
    ['HOLDFAST_DATABASE_URL', 'postgres://db', 'databaseUrl', 'postgres://db'],
    ['HOLDFAST_LOG_LEVEL', 'debug', 'logLevel', 'debug'],
    ['HOLDFAST_HOME', '/var/lib/x y', 'homeDir', '/var/lib/x y'],
    ['SOFTHSM2_CONF', '/etc/x y', 'tokenEnvironment', { SOFTHSM2_CONF: '/etc/x y' }],
  ] as const;
  for (const [name, value, field, expected] of accepted) {
    assert.deepEqual(readCloudConfig({ [name]: value })[field], expected, `${name}=${value}`);
  }
  for (const [value, urls] of [
    [`https://w.example/ ${witnessKey}`, ['https://w.example']],
    [`http://10.0.0.1:7380/prefix  ${witnessKey}`, ['http://10.0.0.1:7380/prefix']],
    [` https://w.example/a/ ${witnessKey},`, ['https://w.example/a']],
    [`https://w.example ${witnessKey}, http://[::1]:1 ${otherKey}`, ['https://w.example', 'http://[::1]:1']],
  ] as const) {
    const { witnesses } = readCloudConfig({ HOLDFAST_WITNESSES: value });
    assert.deepEqual(
      witnesses.map(({ url }) => url),
      urls,
      value,
    );
    assert.equal(witnesses[0]?.keyText, witnessKey);
  }
  const both = readCloudConfig({ HOLDFAST_TLS_CERT_FILE: '/c.pem', HOLDFAST_TLS_KEY_FILE: '/k.pem' });
  assert.deepEqual(both.certificateFiles, { certFile: '/c.pem', keyFile: '/k.pem' });
});

test('settings are shown without the password of the database', () => {
  const config = readCloudConfig({ HOLDFAST_DATABASE_URL: 'postgresql://u:hunter2@db/x' });
  const shown = JSON.stringify(redactConfig(config));
  assert.equal(shown.includes('hunter2'), false);
  assert.ok(shown.includes('db/x'));
});

test('what is wrong with a setting is said in plain words, with what it must be', () => {
  const told = (env: Readonly<Record<string, string>>) => {
    try {
      readCloudConfig(env);
      return [];
    } catch (error) {
      return (error as { details: { problems: string[] } }).details.problems;
    }
  };
  for (const [env, expected] of [
    [{ HOLDFAST_LISTEN: '8443' }, 'HOLDFAST_LISTEN: it must be HOST:PORT, such as 127.0.0.1:8443'],
    [{ HOLDFAST_LISTEN: 'a:70000' }, 'HOLDFAST_LISTEN: it must have a port of 65535 or less'],
    [
      { HOLDFAST_PUBLIC_URL: 'backup' },
      'HOLDFAST_PUBLIC_URL: it must be an address such as https://backup.example.org',
    ],
    [{ HOLDFAST_PUBLIC_URL: 'https://a/b' }, 'HOLDFAST_PUBLIC_URL: it must have no path, user or query'],
    [
      { HOLDFAST_TRUSTED_PROXIES: 'x' },
      'HOLDFAST_TRUSTED_PROXIES: it must be addresses or networks such as 10.0.0.0/8, separated by commas',
    ],
    [
      { HOLDFAST_DATABASE_URL: 'mysql://a' },
      'HOLDFAST_DATABASE_URL: it must be an address such as postgresql://user:password@host/database',
    ],
    [{ HOLDFAST_LOG_LEVEL: 'loud' }, 'HOLDFAST_LOG_LEVEL: it must be one of debug, info, warn, error'],
    [
      { HOLDFAST_TLS_KEY_FILE: 'k' },
      'HOLDFAST_TLS_KEY_FILE: it must be set together with HOLDFAST_TLS_CERT_FILE: either both or neither',
    ],
    [{ HOLDFAST_LISTEN: '127.0.0.1:1', HOLDFAST_LOG_LEVEL: 'info' }, undefined],
  ] as const) {
    assert.deepEqual(told(env), expected === undefined ? [] : [expected]);
  }
});
