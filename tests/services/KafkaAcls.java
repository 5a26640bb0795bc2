// Changes rights at a Kafka broker: rules on standard input, one a line, as tests/services/kafka describes them.
// The argument is a file with the properties of an administrator's client.

import java.io.BufferedReader;
import java.io.FileReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.Resource;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

public class KafkaAcls {
    public static void main(String[] arguments) throws Exception {
        List<AclBinding> given = new ArrayList<>();
        List<AclBindingFilter> removed = new ArrayList<>();
        BufferedReader rules = new BufferedReader(new InputStreamReader(System.in));
        for (String line = rules.readLine(); line != null; line = rules.readLine()) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            String[] words = line.trim().split("\\s+");
            if (words.length != 4) {
                System.err.println("not a rule: " + line);
                System.exit(2);
            }
            for (String operation : words[3].split(",")) {
                // What is removed may have been allowed or denied.
                if (words[0].equals("remove")) {
                    for (String permission : List.of("allow", "deny")) {
                        removed.add(rule(permission, words[1], words[2], operation).toFilter());
                    }
                } else {
                    given.add(rule(words[0], words[1], words[2], operation));
                }
            }
        }
        Properties properties = new Properties();
        try (FileReader file = new FileReader(arguments[0])) {
            properties.load(file);
        }
        try (Admin admin = Admin.create(properties)) {
            admin.deleteAcls(removed).all().get();
            admin.createAcls(given).all().get();
        }
    }

    private static AclBinding rule(String permission, String user, String what, String operation) {
        String[] parts = what.split(":", 2);
        ResourceType type = ResourceType.fromString(parts[0].replace('-', '_'));
        String name = type == ResourceType.CLUSTER ? Resource.CLUSTER_NAME : parts[1];
        PatternType pattern = PatternType.LITERAL;
        // A star alone is Kafka's own sign for all names.
        if (name.endsWith("*") && name.length() > 1) {
            pattern = PatternType.PREFIXED;
            name = name.substring(0, name.length() - 1);
        }
        AclOperation to = AclOperation.fromString(operation.replace('-', '_'));
        AclPermissionType verdict = AclPermissionType.fromString(permission.toLowerCase(Locale.ROOT));
        if (type == ResourceType.UNKNOWN || to == AclOperation.UNKNOWN || verdict == AclPermissionType.UNKNOWN) {
            throw new IllegalArgumentException("not a rule: " + permission + " " + what + " " + operation);
        }
        ResourcePattern resource = new ResourcePattern(type, name, pattern);
        return new AclBinding(resource, new AccessControlEntry("User:" + user, "*", to, verdict));
    }
}
