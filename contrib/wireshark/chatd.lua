-- Shows what chatd and its clients say over TCP: native frames of types 0 to 5 (TcpChat protocol v0.5) and 16 (v1, JSON).
--
-- To use it, put this file into Wireshark's folder of personal Lua plugins (Help, About Wireshark, Folders), or
--     tshark -X lua_script:chatd.lua -r FILE
-- Port 33333 is taken for chatd's; for another one, "Decode As" or `-d tcp.port==PORT,chatd`. Filters: `chatd.type == 16`,
-- `chatd.text contains "hi"`, `chatd.malformed`, and those of Wireshark's JSON dissector.
--
-- The lengths are compared as chatd compares them (docs/protocol.md, "What closes a connection"), a wrong one as soon as its bytes
-- are there. What follows a frame with a wrong length in its segment is shown as bytes: nothing there can be trusted.

local PORT = 33333
local HEADER_BYTES = 8
-- What the length field counts before the payload: the type.
local TYPE_BYTES = 4
local GUID_BYTES = 16
local V05_LENGTH_MAX = 65536
-- A v1 frame carries 6 x message + 4 KiB of JSON, and no chatd has a larger `[limits] message` than 65,530.
local V1_LENGTH_MAX = TYPE_BYTES + 6 * 65530 + 4096
-- Every frame is shorter than this, so that a native stream begins with a byte 00.
local LENGTH_LIMIT = 0x1000000
local V1_TYPE = 16
-- So many bytes of a frame have the lengths of all its strings, of the longest From too.
local STRINGS_BYTES = HEADER_BYTES + 1 + 255 + 2
-- What pinfo.desegment_len is for: however many bytes the next segment has.
local DESEGMENT_ONE_MORE_SEGMENT = 0x0fffffff

-- The frame types: who sends them, and the smallest and the largest length field they have.
local TYPES = {
    [0] = { name = "Chat", from = "client", least = 6, most = V05_LENGTH_MAX },
    [1] = { name = "Broadcast", from = "server", least = 7, most = V05_LENGTH_MAX },
    [2] = { name = "Keepalive", least = 4, most = 4 },
    [3] = { name = "SetNickname", from = "client", least = 21, most = 21 + 255 },
    [4] = { name = "Ack", from = "server", least = 20, most = 20 },
    [5] = { name = "Nak", from = "server", least = 22, most = V05_LENGTH_MAX },
    [V1_TYPE] = { name = "V1", least = TYPE_BYTES, most = V1_LENGTH_MAX },
}

local chatd = Proto("chatd", "chatd native frame")

local names = {}
for number, kind in pairs(TYPES) do names[number] = kind.name end

local fields = {
    length = ProtoField.uint32("chatd.length", "Length", base.DEC, nil, nil, "Bytes that follow, the type included"),
    type = ProtoField.uint32("chatd.type", "Type", base.DEC, names),
    request_id = ProtoField.bytes("chatd.request_id", "Request id", base.NONE, "16 opaque bytes"),
    from_length = ProtoField.uint8("chatd.from_length", "Length of From"),
    from = ProtoField.string("chatd.from", "From"),
    text_length = ProtoField.uint16("chatd.text_length", "Length of Text"),
    text = ProtoField.string("chatd.text", "Text", base.NONE, "Any bytes; malformed UTF-8 is relayed as U+FFFD"),
    nickname_length = ProtoField.uint8("chatd.nickname_length", "Length of Nickname"),
    nickname = ProtoField.string("chatd.nickname", "Nickname"),
    message_length = ProtoField.uint16("chatd.message_length", "Length of Message"),
    message = ProtoField.string("chatd.message", "Message"),
    payload = ProtoField.bytes("chatd.payload", "Payload", base.NONE, "Of an unknown type: chatd skips it"),
    rest = ProtoField.bytes("chatd.rest", "Not understood", base.NONE, "Bytes behind a frame whose length is wrong"),
}
chatd.fields = fields

local function fault(name, text, group, severity)
    return ProtoExpert.new("chatd." .. name, text, group, severity)
end

local experts = {
    length = fault("malformed.length", "Wrong length", expert.group.MALFORMED, expert.severity.ERROR),
    string = fault("malformed.string", "A string does not fill its frame", expert.group.MALFORMED, expert.severity.ERROR),
    json = fault("malformed.json", "Not a JSON object", expert.group.MALFORMED, expert.severity.ERROR),
    direction = fault("direction", "Sent by the wrong side", expert.group.PROTOCOL, expert.severity.WARN),
    unknown = fault("unknown", "Unknown type, skipped by chatd", expert.group.UNDECODED, expert.severity.NOTE),
    cut = fault("cut", "The capture ends within this frame", expert.group.UNDECODED, expert.severity.NOTE),
}
chatd.experts = experts

-- Shows a string with its length of `count` bytes before it, and gives where it ends.
local function add_string(tree, range, count, length_field, field)
    local length = range(0, count):uint()
    tree:add(length_field, range(0, count))
    if length > 0 then
        tree:add_packet_field(field, range(count, length), ENC_UTF_8 + ENC_STRING)
    end
    return count + length
end

local function add_json(tree, range, pinfo)
    if not range or not range:raw():find("^%s*{") then
        tree:add_proto_expert_info(experts.json)
        return ""
    end
    Dissector.get("json"):call(range:tvb(), pinfo, tree)
    -- For the list of packets only; inside of a text these quotes would be escaped.
    for _, kind in ipairs({ "request", "event", "reply" }) do
        local name = range:raw():match('"' .. kind .. '"%s*:%s*"([^"\\]*)"')
        if name then return " " .. kind .. " " .. name end
    end
    return ""
end

-- Who sent a packet: the server's port is the one that chose this dissector.
local function sender(pinfo)
    if pinfo.src_port == pinfo.dst_port then return nil end
    if pinfo.dst_port == pinfo.match_uint then return "client" end
    if pinfo.src_port == pinfo.match_uint then return "server" end
    return nil
end

-- Shows the payload of a frame whose lengths are right. Gives what the list of packets says besides the type.
local function add_payload(tree, range, number, pinfo)
    if number == 0 then
        add_string(tree, range, 2, fields.text_length, fields.text)
    elseif number == 1 and sender(pinfo) ~= "client" then
        local used = add_string(tree, range, 1, fields.from_length, fields.from)
        add_string(tree, range(used), 2, fields.text_length, fields.text)
    elseif number == 3 then
        tree:add(fields.request_id, range(0, GUID_BYTES))
        add_string(tree, range(GUID_BYTES), 1, fields.nickname_length, fields.nickname)
    elseif number == 4 then
        tree:add(fields.request_id, range)
    elseif number == 5 and sender(pinfo) ~= "client" then
        tree:add(fields.request_id, range(0, GUID_BYTES))
        add_string(tree, range(GUID_BYTES), 2, fields.message_length, fields.message)
    elseif number == V1_TYPE then
        return add_json(tree, range, pinfo)
    elseif range then
        tree:add(fields.payload, range)
    end
    return ""
end

-- What is wrong with the length field, known by as few bytes as chatd needs to know it.
local function wrong_length(tvb)
    local first = tvb(0, 1):uint()
    if first ~= 0 then
        return string.format("The first byte is %02x: a length of %d or more", first, LENGTH_LIMIT)
    end
    if tvb:len() < 4 then return nil end
    local length = tvb(0, 4):uint()
    if length < TYPE_BYTES then
        return string.format("The length is %d, below %d", length, TYPE_BYTES)
    end
    if tvb:len() < HEADER_BYTES then return nil end
    local kind = TYPES[tvb(4, 4):uint()]
    if kind and length > kind.most then
        return string.format("The length is %d, over the %d of type %s", length, kind.most, kind.name)
    elseif kind and length < kind.least then
        return string.format("The length is %d, below the %d of type %s", length, kind.least, kind.name)
    end
    return nil
end

-- What is wrong with a string: one whose length of `count` bytes is at `at` ends `reserved` bytes or more before the frame does.
-- Gives that, and where the string ends.
local function wrong_string(tvb, at, count, reserved)
    if tvb:len() < at + count then return nil, nil end
    local claimed = tvb(at, count):uint()
    local room = tvb(0, 4):uint() + 4 - at - count - reserved
    if claimed == room or (reserved > 0 and claimed < room) then return nil, at + count + claimed end
    return string.format("The string claims %d bytes where its frame has %d", claimed, room), nil
end

-- What is wrong with the strings of a frame with a right length. Those that a server sends chatd does not read from a client.
local function wrong_strings(tvb, pinfo)
    if tvb:len() < HEADER_BYTES then return nil end
    local number = tvb(4, 4):uint()
    if number == 0 then return (wrong_string(tvb, HEADER_BYTES, 2, 0)) end
    if number == 3 then return (wrong_string(tvb, HEADER_BYTES + GUID_BYTES, 1, 0)) end
    if sender(pinfo) == "client" then return nil end
    if number == 5 then return (wrong_string(tvb, HEADER_BYTES + GUID_BYTES, 2, 0)) end
    if number == 1 then
        local wrong, from_end = wrong_string(tvb, HEADER_BYTES, 1, 2)
        if wrong or not from_end then return wrong end
        return (wrong_string(tvb, from_end, 2, 0))
    end
    return nil
end

-- Bytes after which nothing further can be understood.
local function add_malformed(tvb, tree, kind, wrong)
    local item = tree:add(chatd, tvb(), "chatd, malformed")
    item:add_proto_expert_info(kind, wrong)
    if tvb:len() >= 4 then item:add(fields.length, tvb(0, 4)) end
    if tvb:len() >= HEADER_BYTES then item:add(fields.type, tvb(4, 4)) end
    if tvb:len() > HEADER_BYTES then item:add(fields.rest, tvb(HEADER_BYTES)) end
end

local function add_frame(tvb, tree, pinfo)
    local length, number = tvb(0, 4):uint(), tvb(4, 4):uint()
    local kind = TYPES[number]
    local name = kind and kind.name or string.format("type %d", number)
    local item = tree:add(chatd, tvb(), "chatd, " .. name)
    item:add(fields.length, tvb(0, 4))
    local type_item = item:add(fields.type, tvb(4, 4))
    if not kind then
        type_item:add_proto_expert_info(experts.unknown)
    elseif kind.from and sender(pinfo) and kind.from ~= sender(pinfo) then
        type_item:add_proto_expert_info(experts.direction, string.format("%s is sent by a %s only", name, kind.from))
    end
    local payload = nil
    if length > TYPE_BYTES then payload = tvb(HEADER_BYTES) end
    return name .. add_payload(item, payload, number, pinfo)
end

-- The first bytes of a stream choose its protocol: TLS, HTTP and IRC are left to Wireshark's own dissectors.
local function is_foreign(tvb)
    if tvb:len() >= 2 and tvb(1, 1):uint() == 3 and tvb(0, 1):uint() >= 20 and tvb(0, 1):uint() <= 24 then return true end
    local head = tvb(0, math.min(tvb:len(), 16)):raw()
    return head:find("^[A-Z]+[ /]") ~= nil or head:find("^[:@]%S") ~= nil
end

-- Asks for more segments from `offset` on: for `missing` bytes, or for whatever comes. Where none can be had, shows what is there.
local function wait(tvb, pinfo, tree, offset, missing)
    if pinfo.can_desegment > 0 and tvb:reported_len() == tvb:len() then
        pinfo.desegment_offset = offset
        pinfo.desegment_len = missing or DESEGMENT_ONE_MORE_SEGMENT
    else
        tree:add(chatd, tvb(offset), "chatd, cut"):add_proto_expert_info(experts.cut)
    end
end

-- Shows the frame that begins at `offset`. Gives its end, or nothing where nothing can be read on, and what the list says.
local function step(tvb, pinfo, tree, offset)
    local here = tvb(offset):tvb()
    local kind, wrong = experts.length, wrong_length(here)
    if not wrong then kind, wrong = experts.string, wrong_strings(here, pinfo) end
    if wrong then
        add_malformed(here, tree, kind, wrong)
        return nil, "malformed"
    end
    if here:len() < HEADER_BYTES then
        wait(tvb, pinfo, tree, offset, nil)
        return nil, nil
    end
    local whole = here(0, 4):uint() + 4
    if here:len() < whole then
        -- A wrong string is said before its frame is whole: chatd closes then, and the rest never comes.
        wait(tvb, pinfo, tree, offset, here:len() >= STRINGS_BYTES and whole - here:len() or nil)
        return nil, nil
    end
    return offset + whole, add_frame(tvb(offset, whole):tvb(), tree, pinfo)
end

function chatd.dissector(tvb, pinfo, tree)
    if tvb:len() == 0 or is_foreign(tvb) then return 0 end
    local shown, offset = {}, 0
    while offset and offset < tvb:len() do
        local said
        offset, said = step(tvb, pinfo, tree, offset)
        table.insert(shown, said)
    end
    -- After the JSON dissector, which names itself there.
    pinfo.cols.protocol = "chatd"
    if #shown > 0 then pinfo.cols.info = table.concat(shown, ", ") end
    return tvb:len()
end

DissectorTable.get("tcp.port"):add(PORT, chatd)
