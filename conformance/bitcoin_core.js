// Asks a node all questions that come on standard input, one JSON object a line,
// with npm's bitcoin-core, and writes one JSON object a line for each.
'use strict';

const Client = require('bitcoin-core');
const readline = require('readline');

const [host, username, password] = process.argv.slice(2);
const logger = { debug() {}, error() {}, info() {}, trace() {}, warn() {} };
const client = new Client({ host, logger, password, username });
// With a version the client knows that parameters may have names.
const naming = new Client({ host, logger, password, username, version: '28.0.0' });

async function ask(q) {
  if (Array.isArray(q.method)) {
    return client.command(q.method); // a batch
  }
  if (!Array.isArray(q.args)) {
    return naming.command(q.method, q.args);
  }
  // The client has a function for each method that it knows; others go by name.
  const name = Object.getOwnPropertyNames(Client.prototype).find(n => n.toLowerCase() === q.method);
  return name ? client[name](...q.args) : client.command(q.method, ...q.args);
}

async function answer(q) {
  const known = Array.isArray(q.method) || Object.keys(client.methods).includes(q.method);
  try {
    return { known, result: await ask(q) };
  } catch (e) {
    return { known, error: `${e.code}: ${e.message}` };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(JSON.parse(line))));
  }
}

main();
