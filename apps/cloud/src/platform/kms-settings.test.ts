import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { KmsSetting } from './kms-settings.ts';

test('a setting names a key file, a token by its label and module, or a key service, and nothing else', () => {
  const module = '/usr/lib/softhsm/libsofthsm2.so';
  const taken: readonly (readonly [text: string, read: object])[] = [
    ['file', { kind: 'file', filePath: undefined }],
    ['file:/etc/holdfast/keys', { kind: 'file', filePath: path.resolve('/etc/holdfast/keys') }],
    ['file:keys of mine', { kind: 'file', filePath: path.resolve('keys of mine') }],
    [`pkcs11:token=holdfast?module-path=${module}`, { kind: 'pkcs11', tokenLabel: 'holdfast', modulePath: module }],
    [`pkcs11:token=a%20b%3B?module-path=${module}`, { kind: 'pkcs11', tokenLabel: 'a b;', modulePath: module }],
    [`pkcs11:token=${'x'.repeat(32)}?module-path=/m`, { kind: 'pkcs11', tokenLabel: 'x'.repeat(32), modulePath: '/m' }],
    ['aws-kms:region=eu-central-1', { kind: 'aws', region: 'eu-central-1', endpoint: null, profile: undefined }],
    [
      'aws-kms:region=us-gov-west-1&profile=holdfast-{role}&endpoint=https://kms.example:444',
      { kind: 'aws', region: 'us-gov-west-1', endpoint: 'https://kms.example:444', profile: 'holdfast-{role}' },
    ],
    [
      'vault:https://vault.example:8200/',
      { kind: 'vault', address: 'https://vault.example:8200', mount: 'transit', namespace: null, caFile: undefined },
    ],
    [
      'vault:http://127.0.0.1:8100?mount=a/b&namespace=team&ca-file=/etc/ca%20of.pem',
      { kind: 'vault', address: 'http://127.0.0.1:8100', mount: 'a/b', namespace: 'team', caFile: '/etc/ca of.pem' },
    ],
  ];
  for (const [text, read] of taken) assert.deepEqual(KmsSetting.parse(text), read, text);
  const refused = [
    'files',
    'file:',
    'pkcs11:',
    'aws-kms:',
    'aws-kms:region=',
    'aws-kms:region=a b',
    'aws-kms:region=eu-central-1&region=us-east-1',
    'aws-kms:region=eu-central-1&key=x',
    'aws-kms:region=eu-central-1&profile=',
    'vault:https://vault?mount=',
    'vault:https://vault?mount=../sys',
    'vault:https://vault?token=hvs.x',
    'vault:https://vault?namespace=',
    'vault:https://vault?mount=a?mount=b',
    'pkcs11:token=holdfast',
    `pkcs11:module-path=${module}`,
    'pkcs11:token=holdfast?module-path=softhsm2.so',
    `pkcs11:token=?module-path=${module}`,
    `pkcs11:token=%ZZ?module-path=${module}`,
    `pkcs11:token=a;token=b?module-path=${module}`,
    `pkcs11:token=a;serial=1?module-path=${module}`,
    `pkcs11:token=a?module-path=${module}?x=y`,
    `pkcs11:token=${'x'.repeat(33)}?module-path=/m`,
  ];
  for (const text of refused) assert.match(messageOf(text), /^it must be file, file:PATH, pkcs11:/, text);
});

test('a key service elsewhere is reached by TLS, one on this machine also without', () => {
  for (const address of [
    'http://vault.example:8200',
    'https://user@vault',
    'https://vault/v1',
    'ftp://vault',
    'vault',
    '',
  ]) {
    assert.match(messageOf(`vault:${address}`), /^its address must begin with https:/, address);
    assert.match(messageOf(`aws-kms:region=eu-central-1&endpoint=${address}`), /^its address must begin with https:/);
  }
  for (const address of ['http://localhost:8200', 'http://[::1]:8200', 'https://vault']) {
    KmsSetting.parse(`vault:${address}`);
    KmsSetting.parse(`aws-kms:region=eu-central-1&endpoint=${address}`);
  }
});

test('a PIN in the setting is refused, as value and as place, and is not repeated', () => {
  for (const pin of ['pin-value=1234', 'pin-source=file:/etc/pin']) {
    const message = messageOf(`pkcs11:token=a?module-path=/m&${pin}`);
    assert.match(message, /HOLDFAST_KMS_SECRET_FILE/);
    assert.doesNotMatch(message, /1234/);
  }
  KmsSetting.parse('pkcs11:token=a?module-path=/m');
});

function messageOf(text: string): string {
  return KmsSetting.safeParse(text).error?.issues[0]?.message ?? 'taken';
}
