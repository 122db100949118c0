// node validate.mjs FILE: one line of JSON with the channels, the number of operations and every error or warning.
import fs from "node:fs";
import { AvroSchemaParser } from "@asyncapi/avro-schema-parser";
import { Parser } from "@asyncapi/parser";

const WORSE_THAN_A_HINT = 1; // severities: 0 error, 1 warning, 2 information, 3 hint

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
const { document, diagnostics } = await parser.parse(fs.readFileSync(process.argv[2], "utf8"));
const found = {
  channels: document ? document.channels().all().map((channel) => channel.address()) : null,
  operations: document ? document.operations().all().length : null,
  faults: diagnostics.filter((each) => each.severity <= WORSE_THAN_A_HINT).map((each) => `${each.path.join("/")}: ${each.message}`),
};
console.log(JSON.stringify(found));
