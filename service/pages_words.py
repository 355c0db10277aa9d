"""What the pages of a hosted ledger say, English and Chinese."""

from service.web import Words

WORDS: Words = {
    "other": ("中文", "English"),
    "skip": ("Skip to the content", "跳到正文"),
    "none": ("none", "无"),
    "state": ("State", "状态"),
    "docs": ("Interface", "接口"),
    "what": (
        (
            "This ledger holds entries of 64 bytes and nothing else: whose they are and what they"
            " stand for is not known here. Whoever holds a file and its record can prove when."
        ),
        (
            "本账本只保存 64 字节的登记项，不含其他内容：账本不知其归属与所指。"
            "持有文件及其记录者可据此核验时间。"
        ),
    ),
    "development": (
        "A ledger for trying out: its time-stamping authorities are its own, and prove nothing.",
        "试用账本：时间戳机构由其自行运行，不具证明作用。",
    ),
    "entries": ("Entries", "登记项"),
    "root": ("Root", "根哈希"),
    "empty": ("nothing was appended yet", "尚无登记项"),
    "checkpoint": ("Last checkpoint", "最新检查点"),
    "checkpoint-of": ("size {size}", "覆盖 {size} 项"),
    "stamped": ("Stamped", "已加盖时间戳"),
    "stamped-to": ("{stamped} of {size}", "{size} 项中的 {stamped} 项"),
    "waiting": ("waiting: {count}, since {since}", "{count} 项待加盖，自 {since} 起"),
    "waiting-new": ("new, waiting: {count}", "{count} 个新登记项待加盖"),
    "guard": ("Guard against two histories", "防双重历史守护"),
    "guard-good": ("agrees with the ledger; entries are taken", "与账本一致，接受登记"),
    "guard-closed": ("closed, nothing more is taken: {why}", "已关闭，不再接受登记：{why}"),
    "as-of": ("As of", "截至"),
    "look-up": ("Look up an entry by its number", "按序号查看登记项"),
    "show": ("Show", "查看"),
    "tsas": ("Time-stamping authorities", "时间戳机构"),
    "tsa": ("Authority", "机构"),
    "last-token": ("Last token", "最近的时间戳"),
    "tree": ("Entries covered", "覆盖项数"),
    "waits-for": ("Pending, and on what", "待办及其原因"),
    "nothing": ("nothing", "无待办"),
    "never": ("none yet", "尚无"),
    "chart": ("The last {days} days", "最近 {days} 天"),
    "chart-entries": ("entries stamped per day", "每日加盖的登记项数"),
    "chart-waits": ("longest wait for a stamp", "等待时间戳的最长时间"),
    "chart-why": (
        (
            "The log has no times of its own: an entry counts on the UTC day of its first stamp."
            " Waits are by this service's clock."
        ),
        "日志本身不含时间：登记项计入其首个时间戳所在的 UTC 日。等待时间以本服务时钟为准。",
    ),
    "chart-desc": (
        "Entries stamped in {days} days: {entries}; longest wait: {wait}.",
        "{days} 天内加盖 {entries} 项；最长等待 {wait}。",
    ),
    "as-table": ("The same as a table", "以表格显示"),
    "day": ("Day (UTC)", "日期（UTC）"),
    "gaps": ("Gaps in the last {days} days", "最近 {days} 天的缺口"),
    "no-gaps": ("No gap is seen in the stamps.", "时间戳中未见缺口。"),
    "gap": ("What", "情形"),
    "from": ("From", "自"),
    "to": ("To", "至"),
    "lasts": ("lasts", "仍在持续"),
    "gap-silent": (
        "no stamp for more than a day: the service or every authority was out",
        "超过一日没有时间戳：服务或全部机构中断",
    ),
    "gap-late": ("entries waited too long for a stamp", "登记项等待时间戳过久"),
    "gap-partial": ("too few authorities; missing: {tsas}", "机构数不足，缺：{tsas}"),
    "faults": ("What the service could not do", "服务未能完成的事项"),
    "fault-heartbeat": ("daily heartbeat", "每日心跳"),
    "fault-stamp": ("stamps", "时间戳"),
    "fault-schedule": ("all scheduled work", "全部定时任务"),
    "fault-capture": ("revocation material", "吊销信息"),
    "keys": ("Keys it signs with", "签名公钥"),
    "entry": ("Entry {index}", "登记项 {index}"),
    "entry-what": (
        (
            "These 64 bytes are two hashes (SHA-256 and SM3) of a record that is not here, or of"
            " random bytes. They tell nothing about who appended them or what they stand for."
        ),
        (
            "这 64 字节是某一记录（不在此处）或随机字节的两个哈希（SHA-256 与 SM3），"
            "不透露由谁登记、所指为何。"
        ),
    ),
    "bytes": ("The entry", "登记项内容"),
    "leaf": ("Its leaf hash", "叶哈希"),
    "first-checkpoint": ("First checkpoint with it", "首个包含它的检查点"),
    "among": ("size {size}", "共 {size} 项"),
    "tiles": ("Where it lies", "所在数据块"),
    "stamps": ("Stamps over it", "覆盖它的时间戳"),
    "no-stamps": (
        "No stamp covers it yet; the state page says what is waited for.",
        "尚无时间戳覆盖；状态页载明等待原因。",
    ),
    "no-later": ("There no later than", "存在时间不晚于"),
    "before": ("Entry before", "上一项"),
    "after": ("Entry after", "下一项"),
    "interface": ("Interface of this ledger", "本账本的接口"),
    "version": ("Version {version}", "版本 {version}"),
    "openapi": ("OpenAPI document", "OpenAPI 文档"),
    "contents": ("Operations", "操作"),
    "secured": ("needs a token", "需令牌"),
    "parameters": ("Parameters", "参数"),
    "name": ("Name", "名称"),
    "place": ("In", "位置"),
    "kind": ("Type", "类型"),
    "meaning": ("Meaning", "含义"),
    "required": ("required", "必填"),
    "request": ("Request", "请求"),
    "answers": ("Answers", "响应"),
    "headers": ("Headers", "标头"),
    "problem": ("This cannot be shown", "无法显示"),
    "not-found": ("There is nothing here.", "此处无内容。"),
    "no-entry": ("There is no entry with this number yet.", "尚无此序号的登记项。"),
    "bad-number": ("An entry's number is 0 or more, in digits.", "登记项序号须为不小于 0 的数字。"),
    "unavailable": (
        "The ledger could not be asked just now; try again.",
        "暂时无法读取账本，请稍后再试。",
    ),
    "back": ("To the state of the ledger", "返回账本状态"),
    "legal": ("Operator", "运营者"),
    "filing": (
        "Filing number of the blockchain information service (CAC)",
        "区块链信息服务备案编号（国家网信办）",
    ),
    "operator": ("Operator", "运营者"),
    "statement": ("Operator's statement", "运营者声明"),
}

REASONS: Words = {
    "timeout": ("no answer in time", "超时未答复"),
    "unreachable": ("could not be reached", "无法连接"),
    "http-error": ("refused the request", "拒绝请求"),
    "content-type": ("answered something else", "答复类型不符"),
    "oversize": ("answered too much", "答复过大"),
    "cut-short": ("the answer was cut short", "答复不完整"),
    "malformed": ("the answer is not in the format", "答复格式不符"),
    "tls": ("no secure connection", "无法建立安全连接"),
    "redirect": ("wants to be asked elsewhere", "要求改向他处请求"),
    "rejected": ("did not grant the request", "未准予请求"),
    "nonce": ("answered another request", "应答的是另一请求"),
    "imprint": ("a token over other bytes", "时间戳所盖为其他字节"),
    "forged": ("a token whose signature does not hold", "时间戳签名不符"),
    "weak": ("a token too weak to count", "时间戳强度不足"),
    "readers-differ": ("a token that two readers read differently", "两种解析对时间戳结果不一"),
    "password": ("its account's password could not be read", "无法读取账户密码"),
    "revoked": ("its certificate was revoked", "证书已吊销"),
    "expired": ("its certificate has expired", "证书已过期"),
    "offline": ("the network is not to be asked", "已设置为离线"),
    "interval": ("waits out the shortest interval", "等待最短间隔"),
    "asking": ("is being asked", "正在请求"),
    "unfinished": ("the last request did not finish", "上次请求未完成"),
    "after": ("the token is kept, revocation material is missing", "已保存时间戳，缺吊销信息"),
    "few-tsas": ("fewer authorities are set than wanted", "设置的机构数不足"),
    "openssl": ("no token that openssl can check", "无 openssl 可核验的时间戳"),
    "sm2": ("a token with SM2 does not count here", "SM2 时间戳在此不计"),
}
"""The stable words that a reason begins with; one that is not here is shown as it is."""
